import { ConnectionError, DEFAULT_WINDOW, FLOW_CONTROL_ERROR, MAX_31 } from "./frames.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** Somebody with DATA to send and no room for it. */
export interface RoomSeeker {
  /** There may be room. Who has more to send than that waits again. */
  roomAgain(): void;
}

/** Bytes that wait for the wire; above it nothing is taken from bodies. */
const HIGH_WATER = 65_536;
/** Bytes in one turn, where others wait for theirs. */
const TURN = 65_536;

/** What may be sent on a connection: by the peer's window for all of its streams, and by how far the wire is behind. */
export class SendRoom {
  readonly #writer: FrameWriter;
  /** In the order in which they get their turn. */
  readonly #waiting = new Set<RoomSeeker>();
  #window = DEFAULT_WINDOW;
  /** What is left of the turn of whoever has it; MAX_31 where nobody else waits. */
  #turn = MAX_31;
  #used = 0;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Bytes of DATA that may go now. */
  get room(): number {
    const room = this.#window < this.#turn ? this.#window : this.#turn;
    return room <= 0 || this.congested ? 0 : room;
  }

  /** Bytes of DATA that were written so far, on any stream (modulo 2^32): while that changes, the peer takes some. */
  get used(): number {
    return this.#used;
  }

  /** Whether the wire is so far behind that nothing should be added that can wait. */
  get congested(): boolean {
    const writer = this.#writer;
    if (writer.waiting >= HIGH_WATER) writer.flush();
    return writer.waiting >= HIGH_WATER;
  }

  /** So many bytes of DATA were written. */
  use(bytes: number): void {
    this.#window -= bytes;
    this.#used = (this.#used + bytes) | 0;
    if (this.#turn !== MAX_31) this.#turn -= bytes;
  }

  /** The connection's WINDOW_UPDATE. @throws ConnectionError (RFC 9113 §6.9.1) */
  open(increment: number): void {
    this.#window += increment;
    if (this.#window > MAX_31)
      throw new ConnectionError(FLOW_CONTROL_ERROR, "the connection's window overflows", "window");
    this.wakeAll();
  }

  await(seeker: RoomSeeker): void {
    this.#waiting.add(seeker);
  }

  forget(seeker: RoomSeeker): void {
    this.#waiting.delete(seeker);
  }

  /** The window of one that waits has opened. */
  wake(seeker: RoomSeeker): void {
    if (this.#waiting.delete(seeker)) seeker.roomAgain();
  }

  /**
   * Each takes its turn, as long as there is room: who has more to send waits again, behind the others. Who cannot send for
   * a reason of his own must not wait here.
   */
  wakeAll(): void {
    const waiting = this.#waiting;
    while (waiting.size > 0 && this.room > 0) {
      const [next] = waiting;
      this.#turn = waiting.size > 1 ? TURN : MAX_31;
      this.wake(next!);
      this.#turn = MAX_31;
    }
  }
}
