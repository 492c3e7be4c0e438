import type { Socket } from "bun";
import { monotonic } from "./monotonic.ts";
import { serveOn } from "./origin-process.ts";
import { EVENT_BYTES, MOST_EVENTS, writeEvent } from "./sse-events.ts";

/*
 * Event streams on bare sockets, because a write is all that an event should cost here. One timer serves all streams: it
 * turns a wheel of slots, one a millisecond, each with the streams whose next event is due then.
 */

const CHUNK_HEAD = `${EVENT_BYTES.toString(16)}\r\n`;
const CHUNK_BYTES = CHUNK_HEAD.length + EVENT_BYTES + 2;
const LAST_CHUNK = "0\r\n\r\n";
/** An event as a chunk, and the end of the body behind it. */
const chunk = Buffer.from(`${CHUNK_HEAD}${" ".repeat(EVENT_BYTES)}\r\n${LAST_CHUNK}`);

const HEAD_END = "\r\n\r\n";
const LONGEST_HEAD = 16_384;
/** Milliseconds between two events of a stream are fewer. */
const SLOTS = 1_024;
const wheel: Stream[][] = Array.from({ length: SLOTS }, () => []);
let turned = Math.floor(monotonic());
let running: Timer | undefined;
let streams = 0;

function turn(): void {
  const now = Math.floor(monotonic());
  while (turned < now) {
    const slot = ++turned % SLOTS;
    const due = wheel[slot]!;
    if (due.length === 0) continue;
    wheel[slot] = [];
    for (const stream of due) stream.next();
  }
}

class Stream {
  readonly #socket: Socket<Stream>;
  #head = "";
  #seq = 0;
  #count = 0;
  #every = 0;
  #open = false;
  /** What the socket did not take. */
  #rest: Buffer | undefined;

  constructor(socket: Socket<Stream>) {
    this.#socket = socket;
  }

  read(bytes: Buffer): void {
    this.#head += bytes.toString("latin1");
    const end = this.#head.indexOf(HEAD_END);
    if (end >= 0 && end + HEAD_END.length === this.#head.length && !this.#open) this.#answer();
    // Neither bodies nor pipelined requests are for us.
    else if (end >= 0 || this.#head.length > LONGEST_HEAD) this.#socket.terminate();
  }

  #answer(): void {
    const target = this.#head.split(" ", 2)[1] ?? "";
    const isGet = this.#head.startsWith("GET ");
    this.#head = "";
    const { pathname, searchParams } = new URL(target, "http://origin");
    const hold = pathname === "/hold";
    const count = Number(searchParams.get("count") ?? 200);
    const every = Number(searchParams.get("every") ?? 5);
    const known = isGet && (hold || pathname === "/events");
    if (!known || !(count > 0 && count < MOST_EVENTS && every >= 1 && every < SLOTS)) {
      this.#write(Buffer.from("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
      return;
    }
    this.#seq = 0;
    this.#count = count;
    this.#every = every;
    this.#open = true;
    if (streams++ === 0) {
      turned = Math.floor(monotonic());
      running = setInterval(turn, 1);
    }
    const size = this.#fill();
    this.#write(Buffer.concat([Buffer.from(head()), chunk.subarray(0, size)]));
    if (!hold) this.#goOn();
  }

  /** Its next event is due. */
  next(): void {
    if (!this.#open) return;
    this.#write(chunk.subarray(0, this.#fill()));
    this.#goOn();
  }

  /** Writes the next event into `chunk`. @returns its size there */
  #fill(): number {
    writeEvent(chunk, CHUNK_HEAD.length, this.#seq++, Math.round(monotonic() * 1e6));
    return this.#seq === this.#count ? CHUNK_BYTES + LAST_CHUNK.length : CHUNK_BYTES;
  }

  #goOn(): void {
    if (this.#seq === this.#count) this.close();
    else wheel[(turned + this.#every) % SLOTS]!.push(this);
  }

  #write(bytes: Buffer): void {
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    const taken = Math.max(this.#socket.write(bytes), 0);
    if (taken < bytes.byteLength) this.#rest = Buffer.from(bytes.subarray(taken));
  }

  drain(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.#write(rest);
  }

  /** The stream has ended. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (--streams === 0) clearInterval(running);
  }
}

let date = "";
let dateUntil = 0;

function head(): string {
  if (monotonic() >= dateUntil) {
    date = new Date().toUTCString();
    dateUntil = monotonic() + 500;
  }
  return `HTTP/1.1 200 OK\r\ndate: ${date}\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n`;
}

const server = Bun.listen<Stream>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open(socket) {
      socket.data = new Stream(socket);
    },
    data: (socket, bytes) => socket.data.read(bytes),
    drain: (socket) => socket.data.drain(),
    close: (socket) => socket.data.close(),
    error: (socket) => socket.data.close(),
  },
});

serveOn(server.port);
