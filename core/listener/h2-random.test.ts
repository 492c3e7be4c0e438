import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, collect, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog } from "sluice/testing";
import { FACTS, LIMITS, refusal, turns } from "../http1/test-server.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import {
  DATA,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME,
  PADDED,
  RST_STREAM,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import { frame } from "./h2-frames.ts";
import { createHttp2Server } from "./h2-server.ts";
import { RECEIVE_WINDOW } from "./h2-stream.ts";
import type { Inbound } from "./inbound.ts";
import { block, data, type Fields, get, hello, setting, windowUpdate } from "./test-h2-client.ts";

/* A client that does anything on its streams, and keeps books on what it is told of them. */

const CONNECTION_WINDOW = 8 * RECEIVE_WINDOW;

/** A stream in the client's books. */
interface Entry {
  /** Whether it may send on, and how much. */
  sends: boolean;
  window: number;
  /** Content that it still owes; NaN where it did not say. */
  owed: number;
  /** What the server may send on it. */
  granted: number;
  head: boolean;
  ended: boolean;
  wasReset: boolean;
  /** The client has reset it. */
  gone: boolean;
}

/** What is random about a session, one number after the other. */
type Dice = (sides: number) => number;

/** A wire that takes no more than it is told to. */
class MeanWire implements Wire {
  taken: Buffer[] = [];
  room = Infinity;
  behind = false;

  write(bytes: Uint8Array, length = bytes.byteLength): number {
    const count = Math.min(length, this.room);
    this.room -= count;
    this.behind = count < length;
    this.taken.push(Buffer.from(bytes.subarray(0, count)));
    return count;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  close(): void {}
  destroy(): void {}
}

class Client {
  /** What may be sent on the connection, and what it grants. */
  window = DEFAULT_WINDOW;
  #granted = DEFAULT_WINDOW;
  #initial = DEFAULT_WINDOW;
  readonly entries = new Map<number, Entry>();
  readonly #dice: Dice;
  readonly #wire: MeanWire;
  #rest = Buffer.alloc(0);
  #nextId = 1;

  constructor(dice: Dice, wire: MeanWire) {
    this.#dice = dice;
    this.#wire = wire;
  }

  /** Looks at what came. Throws where the server broke the rules. */
  read(): void {
    let bytes = Buffer.concat([this.#rest, ...this.#wire.taken.splice(0)]);
    while (bytes.byteLength >= FRAME_HEADER) {
      const end = FRAME_HEADER + bytes.readUIntBE(0, 3);
      if (bytes.byteLength < end) break;
      this.#frame(bytes[3]!, bytes[4]!, bytes.readUInt32BE(5), bytes.subarray(FRAME_HEADER, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    expect(type).not.toBe(GOAWAY);
    if (id === 0) {
      if (type === WINDOW_UPDATE) this.window += payload.readUInt32BE();
      expect(this.window).toBeLessThanOrEqual(CONNECTION_WINDOW);
      return;
    }
    const entry = this.entries.get(id)!;
    // What comes late is answered so, again.
    if (type !== RST_STREAM) expect(entry.wasReset).toBe(false);
    if (type === WINDOW_UPDATE) entry.window += payload.readUInt32BE();
    else if (type === RST_STREAM) {
      entry.wasReset = true;
      entry.sends = false;
    } else this.#answer(entry, type, (flags & END_STREAM) !== 0, payload.byteLength);
    expect(entry.window).toBeLessThanOrEqual(RECEIVE_WINDOW);
  }

  #answer(entry: Entry, type: number, ends: boolean, length: number): void {
    expect([entry.ended, entry.head || type === HEADERS]).toEqual([false, true]);
    entry.head = true;
    if (type === DATA) {
      entry.granted -= length;
      this.#granted -= length;
      if (length > 0) expect(Math.min(entry.granted, this.#granted)).toBeGreaterThanOrEqual(0);
    }
    entry.ended = ends;
  }

  /** The next thing that it sends. */
  act(): Uint8Array | undefined {
    const what = this.#dice(20);
    const sending = [...this.entries].filter(([, { sends }]) => sends);
    if (what < 5 || sending.length === 0) return this.open(this.#dice(5), this.#dice(4) === 0);
    const [id, entry] = sending[this.#dice(sending.length)]!;
    if (what < 13) return this.#send(id, entry, this.#dice(16_000));
    switch (what) {
      case 13:
        return this.reset(id, entry);
      case 14:
        if (entry.owed > 0) return undefined;
        return this.#end(entry, frame(HEADERS, END_HEADERS | END_STREAM, id, block([["x-t", "2"]])));
      case 15:
        return this.#breach(id, entry);
      case 16:
        return this.#stray();
      case 17:
        return this.#grant(1 + this.#dice(100_000));
      case 18:
        return this.#raise(this.#dice(10_000));
      default:
        return undefined;
    }
  }

  /** @param how see `answer` */
  open(how: number, ends: boolean): Uint8Array | undefined {
    const open = [...this.entries.values()].filter((entry) => !entry.ended && !entry.gone && !entry.wasReset);
    if (open.length > 100) return undefined;
    const id = this.#nextId;
    this.#nextId += this.#dice(20) === 0 ? 4 : 2;
    const owed = ends || how === 0 || this.#dice(3) > 0 ? Number.NaN : 1 + this.#dice(40_000);
    const state = { sends: !ends, window: RECEIVE_WINDOW, owed, granted: this.#initial };
    this.entries.set(id, { ...state, head: false, ended: false, wasReset: false, gone: false });
    const length: Fields = owed > 0 ? [["content-length", String(owed)]] : [];
    return frame(HEADERS, END_HEADERS | (ends ? END_STREAM : 0), id, block(get(length, `/${how}`)));
  }

  reset(id: number, entry: Entry): Uint8Array {
    entry.gone = true;
    return this.#end(entry, frame(RST_STREAM, 0, id, Buffer.of(0, 0, 0, 8)));
  }

  #end(entry: Entry, bytes: Uint8Array): Uint8Array {
    entry.sends = false;
    return bytes;
  }

  #send(id: number, entry: Entry, most: number): Uint8Array | undefined {
    const length = entry.owed < most ? entry.owed : most;
    const padding = this.#dice(3) === 0 ? this.#dice(256) : -1;
    const cost = length + padding + 1;
    if (!this.#use(entry, cost)) return undefined;
    entry.owed -= length;
    entry.sends = !(entry.owed === 0 || (Number.isNaN(entry.owed) && this.#dice(4) === 0));
    const content = Buffer.alloc(length);
    if (padding < 0) return data(id, content, !entry.sends);
    const padded = Buffer.concat([Buffer.of(padding), content, Buffer.alloc(padding)]);
    return frame(DATA, PADDED | (entry.sends ? 0 : END_STREAM), id, padded);
  }

  #use(entry: Entry, cost: number): boolean {
    if (cost > Math.min(MAX_FRAME, entry.window, this.window)) return false;
    entry.window -= cost;
    this.window -= cost;
    return true;
  }

  /** What ends the one stream. */
  #breach(id: number, entry: Entry): Uint8Array | undefined {
    const how = this.#dice(3);
    if (how === 0) return this.#end(entry, windowUpdate(id, 0));
    if (how === 1) return this.#end(entry, frame(HEADERS, END_HEADERS, id, block([["x-t", "2"]])));
    if (Number.isNaN(entry.owed)) return undefined;
    const length = entry.owed + 1;
    return this.#use(entry, length) ? this.#end(entry, data(id, Buffer.alloc(length))) : undefined;
  }

  /** DATA where there may be none any more. */
  #stray(): Uint8Array | undefined {
    const over = [...this.entries].filter(([, { sends, wasReset }]) => !sends && wasReset);
    const [id, entry] = over[this.#dice(over.length || 1)] ?? [0, undefined];
    return entry !== undefined && this.#use(entry, 12_000) ? data(id, Buffer.alloc(12_000)) : undefined;
  }

  #grant(bytes: number): Uint8Array {
    const ids = [...this.entries.keys()];
    const id = ids[this.#dice(ids.length)]!;
    this.entries.get(id)!.granted += bytes;
    this.#granted += bytes;
    return Buffer.concat([windowUpdate(0, bytes), windowUpdate(id, bytes)]);
  }

  /** Only up: what was under way would not know of less. */
  #raise(bytes: number): Uint8Array {
    this.#initial += bytes;
    for (const entry of this.entries.values()) entry.granted += bytes;
    return setting(INITIAL_WINDOW_SIZE, this.#initial);
  }
}

/** Reads of the body what the target says, and answers with anything. */
async function answer(inbound: Inbound, dice: Dice): Promise<void> {
  const how = Number(inbound.rawTarget.slice(1));
  try {
    await turns(dice(3));
    if (how < 2) await collect(inbound.body, 1e9);
    else if (how === 2) await inbound.body?.read();
    if (how < 4) inbound.body?.cancel();
  } catch {
    // It is over; `respond` says so, too.
  }
  if (dice(3) === 0) inbound.inform(103, new HeaderList(["link", "</a>"]));
  const whole = dice(60_000);
  const fails = dice(10) === 0;
  let left = whole;
  const body: Body = {
    length: dice(2) === 0 || fails ? undefined : whole,
    trailers: dice(3) === 0 ? new HeaderList(["x-t", "1"]) : undefined,
    read() {
      if (fails && left < whole / 2) throw new Error("it died");
      const piece = Buffer.alloc(Math.min(left, 1 + dice(30_000)));
      left -= piece.byteLength;
      if (piece.byteLength === 0) return null;
      return dice(2) === 0 ? piece : turns(1).then(() => piece);
    },
    cancel() {},
  };
  await inbound.respond(200, new HeaderList(), dice(5) === 0 ? null : body);
}

test("whatever a client does on its streams, both sides keep to the windows and all of them comes back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.nat(0x3fffffff)), async (numbers) => {
      const dice: Dice = (sides) => (numbers.next().value as number) % sides;
      const wire = new MeanWire();
      const clock = createFakeClock();
      const log = createMemoryLog();
      const limits = { ...LIMITS, body: 1e9, resets: 1e6 };
      const handler = {
        handle: (inbound: Inbound) => void answer(inbound, dice),
        rejected: refusal,
      };
      const server = createHttp2Server({ handler, limits: () => limits, clock, log });
      const owner = server.accept(wire, FACTS, hello());
      const client = new Client(dice, wire);
      await anything(client, owner, wire, dice, () => clock.advance(500));
      // Through with everything: one upload alone has all of the connection's window, but for what is not worth a word.
      owner.data(client.open(0, false)!);
      const [id, entry] = [...client.entries].at(-1)!;
      for (let sent = 0; sent < 3 * CONNECTION_WINDOW; sent += MAX_FRAME) {
        entry.window -= MAX_FRAME;
        client.window -= MAX_FRAME;
        owner.data(data(id, Buffer.alloc(MAX_FRAME)));
        await turns(1);
        client.read();
        expect(client.window).toBeGreaterThan(CONNECTION_WINDOW / 2 - 2 * MAX_FRAME);
      }
      owner.closed();
      expect(server.connections).toBe(0);
    }),
    { numRuns: 8 },
  );
}, 30_000);

async function anything(
  client: Client,
  owner: WireOwner,
  wire: MeanWire,
  dice: Dice,
  tick: () => Promise<void>,
): Promise<void> {
  for (let step = 0; step < 150; step++) {
    const acts = Array.from({ length: 1 + dice(6) }, () => client.act() ?? new Uint8Array(0));
    const bytes = Buffer.concat(acts);
    for (let at = 0; at < bytes.byteLength;) {
      const to = at + 1 + dice(dice(3) === 0 ? 50 : 100_000);
      owner.data(Buffer.from(bytes.subarray(at, to)));
      at = to;
      await turns(dice(2));
    }
    if (dice(5) === 0) wire.room = dice(100_000);
    await turns(dice(4));
    client.read();
    if (wire.behind && dice(2) === 0) {
      wire.room = dice(3) === 0 ? dice(200_000) : Infinity;
      owner.drained();
    }
    await tick();
  }
  wire.room = Infinity;
  owner.drained();
  await turns(5);
  client.read();
  for (const [id, entry] of client.entries) {
    if (!entry.wasReset && (entry.sends || !entry.ended)) owner.data(client.reset(id, entry));
  }
  await turns(10);
  client.read();
}
