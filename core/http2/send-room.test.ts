import { expect, test } from "bun:test";
import { FrameWriter } from "./frame-writer.ts";
import { DEFAULT_WINDOW, MAX_FRAME } from "./frames.ts";
import { type RoomSeeker, SendRoom } from "./send-room.ts";

/* Who may send how much, where more is to be sent than goes. */

/** A wire that takes so much each time that it is asked to go on. */
class Wire {
  left = 0;

  write(_bytes: Uint8Array, length: number): number {
    const taken = Math.min(length, this.left);
    this.left -= taken;
    return taken;
  }
}

class Sender implements RoomSeeker {
  sent = 0;
  readonly #room: SendRoom;
  readonly #writer: FrameWriter;
  readonly #id: number;

  constructor(room: SendRoom, writer: FrameWriter, id: number) {
    this.#room = room;
    this.#writer = writer;
    this.#id = id;
  }

  roomAgain(): void {
    for (;;) {
      const count = Math.min(this.#room.room, MAX_FRAME);
      if (count === 0) break;
      this.#room.use(count);
      this.#writer.data(this.#id, PIECE, 0, count, false);
      this.sent += count;
    }
    this.#room.await(this);
  }
}

const PIECE = new Uint8Array(MAX_FRAME);

test("what a wire takes at once is shared by all that wait for it", () => {
  const wire = new Wire();
  const writer = new FrameWriter(wire);
  const room = new SendRoom(writer);
  room.open(2 ** 30);
  const senders = [1, 3, 5, 7].map((id) => new Sender(room, writer, id));
  for (const sender of senders) sender.roomAgain();
  for (let i = 0; i < 3; i++) {
    wire.left = 1_000_000;
    writer.drained();
    room.wakeAll();
    const sent = senders.map((sender) => sender.sent);
    expect(Math.max(...sent) - Math.min(...sent)).toBeLessThan(200_000);
  }
  expect(senders.reduce((sum, { sent }) => sum + sent, 0)).toBeGreaterThan(2_900_000);
});

test("who alone waits takes all there is", () => {
  const writer = new FrameWriter({ write: (_, length) => length });
  const room = new SendRoom(writer);
  const sender = new Sender(room, writer, 1);
  room.await(sender);
  room.open(1_000_000);
  expect(sender.sent).toBe(DEFAULT_WINDOW + 1_000_000);
});
