import { ConnectionError, DEFAULT_WINDOW, FLOW_CONTROL_ERROR, MAX_31 } from "./frames.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** Somebody with DATA to send and no room for it. */
export interface RoomSeeker {
  /** There may be room. Who finds none waits again. */
  roomAgain(): void;
}

/** Bytes that wait for the wire; above it nothing is taken from bodies. */
const HIGH_WATER = 65_536;

/** What may be sent on a connection: by the peer's window for all of its streams, and by how far the wire is behind. */
export class SendRoom {
  readonly #writer: FrameWriter;
  /** In the order in which they get their turn. */
  readonly #waiting = new Set<RoomSeeker>();
  #window = DEFAULT_WINDOW;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Bytes of DATA that may go now. */
  get room(): number {
    if (this.#window <= 0) return 0;
    return this.congested ? 0 : this.#window;
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

  /** The window of one has opened. */
  wake(seeker: RoomSeeker): void {
    if (this.#waiting.delete(seeker)) seeker.roomAgain();
  }

  /** Each takes its turn, as long as there is room; who finds none queues behind the others. */
  wakeAll(): void {
    for (let left = this.#waiting.size; left > 0; left--) {
      const [next] = this.#waiting;
      if (next === undefined || this.room === 0) return;
      this.wake(next);
    }
  }
}
