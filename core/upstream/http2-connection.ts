import type { Clock } from "sluice/plugin";
import { BunWire, type WireOwner } from "../http1/index.ts";
import {
  ConnectionError,
  DEFAULT_WINDOW,
  ENABLE_PUSH,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FrameEventReader,
  type FrameEvents,
  FrameWriter,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  INTERNAL_ERROR,
  MAX_31,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  PREFACE,
  PROTOCOL_ERROR,
  SendRoom,
} from "../http2/index.ts";
import type { Call } from "./call.ts";
import type { Dialled } from "./dial.ts";
import { broken, malformed, openingFailed, unsendable, WrongProtocol } from "./failures.ts";
import { headOf } from "./http2-head.ts";
import type { Span } from "./http2-span.ts";
import { Http2Stream, STREAM_WINDOW, type StreamHost } from "./http2-stream.ts";
import { ANSWER_LIMITS, TCP_KEEPALIVE } from "./limits.ts";
import { type Pool, type PooledConnection, PoolNotes } from "./pool.ts";

/** Streams on one connection at most, also where the peer allows more. */
const MAX_STREAMS = 512;

/** What the peer may send over all streams together before we say go on; each has its own bound. */
const CONNECTION_WINDOW = 16_777_216;

/** Answers to PING and SETTINGS that pile up because the peer reads none of them: above it, it is an attack. */
const MAX_WAITING = 1_048_576;
/** What may wait besides for each stream that is open: its head. */
const MAX_HEAD = 131_072;

/** How long the answer to a PING may take on a connection under suspicion, in milliseconds. */
const PING_WAIT = 5_000;
const PING_PAYLOAD = Buffer.from("sluice??", "latin1");

/**
 * One HTTP/2 connection to an upstream. It counts as standing once the peer's SETTINGS are in (RFC 9113 §3.4):
 * only then is the number of streams known, and whoever does not speak HTTP/2 is found out before a request is
 * at stake.
 */
export class Http2Connection implements PooledConnection, Dialled, WireOwner, FrameEvents, StreamHost {
  readonly pooled = new PoolNotes();
  readonly wire: BunWire;
  readonly idleLimit = Infinity;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #reader = new FrameEventReader(this, ANSWER_LIMITS);
  readonly #writer: FrameWriter;
  readonly #sendRoom: SendRoom;
  readonly #span: Span;
  readonly #streams = new Map<number, Http2Stream>();
  #state: "opening" | "open" | "draining" | "closed" = "opening";
  #nextId = 1;
  #limit = MAX_STREAMS;
  /** What the peer grants a new stream. */
  #streamWindow = DEFAULT_WINDOW;
  /** What the peer may still send, as it knows. */
  #receiveWindow = CONNECTION_WINDOW;
  /** Monotonic milliseconds by which the peer must have answered a PING. */
  #pingDeadline = Infinity;
  /** While bytes are read, when that began; 0 otherwise. Many answers come at once, and a look at the clock costs. */
  #readAt = 0;

  constructor(pool: Pool, clock: Clock, span: Span) {
    this.#pool = pool;
    this.#span = span;
    this.#clock = clock;
    this.wire = new BunWire(this);
    this.#writer = new FrameWriter(this.wire);
    this.#sendRoom = new SendRoom(this.#writer);
  }

  // For the pool.

  get active(): number {
    return this.#streams.size;
  }

  get available(): boolean {
    return this.#state === "open" && this.#streams.size < this.#limit;
  }

  start(call: Call): void {
    call.request.progress.reused = this.#nextId > 1;
    let head: string[];
    try {
      call.takeBody();
      head = headOf(call);
    } catch (error) {
      call.fail(unsendable(error));
      return;
    }
    const stream = new Http2Stream(this.#nextId, this, call, this.#streamWindow);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    stream.begin(head);
    const begun = (this.#nextId - 1) / 2;
    if (this.#nextId > MAX_31 || begun >= this.#span.of(this.pooled.serial)) this.#drain();
  }

  sweep(now: number): void {
    for (const stream of this.#streams.values()) stream.sweep(now);
    if (now >= this.#pingDeadline) this.#lose(broken(new Error("no answer to PING")));
  }

  giveUp(): void {
    // There is nothing to close before TCP stands: the kernel goes on trying, and what succeeds late is still used.
    if (this.wire.socket !== undefined) this.#lose(undefined);
  }

  close(): void {
    this.#goodbye(NO_ERROR);
  }

  // For its streams.

  now(): number {
    return this.#readAt || this.#clock.monotonic();
  }

  get room(): number {
    return this.#sendRoom.room;
  }

  sendHeaders(stream: Http2Stream, flat: readonly string[], end: boolean): void {
    this.#writer.headers(stream.id, flat, end);
  }

  sendData(stream: Http2Stream, bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.#sendRoom.use(to - from);
    stream.sendWindow -= to - from;
    this.#writer.data(stream.id, bytes, from, to, end);
  }

  sendEnd(stream: Http2Stream): void {
    this.#writer.end(stream.id);
  }

  awaitRoom(stream: Http2Stream): void {
    this.#sendRoom.await(stream);
  }

  credit(stream: Http2Stream, bytes: number): void {
    this.#writer.windowUpdate(stream.id, bytes);
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (!this.#streams.has(stream.id)) return;
    this.#writer.reset(stream.id, code);
    this.streamEnded(stream);
  }

  streamEnded(stream: Http2Stream): void {
    this.#sendRoom.forget(stream);
    if (!this.#streams.delete(stream.id)) return;
    if (this.#state === "open") this.#pool.freed(this);
    else if (this.#state === "draining" && this.#streams.size === 0) this.#goodbye(NO_ERROR);
  }

  retire(): void {
    this.#drain();
  }

  retry(call: Call, most: number): boolean {
    return this.#pool.retry(call, most);
  }

  suspect(): void {
    if (this.#pingDeadline !== Infinity) return;
    this.#pingDeadline = this.now() + PING_WAIT;
    this.#writer.ping(PING_PAYLOAD, false);
  }

  // The wire.

  opened(): void {
    if (this.#state !== "opening") return;
    this.wire.socket?.setKeepAlive(true, TCP_KEEPALIVE);
    const writer = this.#writer;
    writer.raw(PREFACE);
    writer.settings(
      [ENABLE_PUSH, 0],
      [INITIAL_WINDOW_SIZE, STREAM_WINDOW],
      [MAX_HEADER_LIST_SIZE, ANSWER_LIMITS.headerBytes],
    );
    writer.windowUpdate(0, CONNECTION_WINDOW - DEFAULT_WINDOW);
  }

  openingFailed(cause: unknown): void {
    if (this.#state !== "opening") return;
    this.#state = "closed";
    this.wire.destroy();
    this.#pool.failed(this, openingFailed(cause));
  }

  data(chunk: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#readAt = this.#clock.monotonic();
    try {
      // The runtime hands out Buffers; the wire's type does not say so.
      this.#reader.pushOwned(chunk as Buffer);
      if (this.#writer.waiting > MAX_WAITING + this.#streams.size * MAX_HEAD)
        throw new ConnectionError(ENHANCE_YOUR_CALM, "a flood of frames");
    } catch (error) {
      this.#breach(error);
    }
    this.#readAt = 0;
  }

  drained(): void {
    this.#writer.drained();
    if (!this.#writer.blocked) this.#sendRoom.wakeAll();
  }

  ended(): void {
    this.closed();
  }

  closed(): void {
    if (this.#state === "opening") this.openingFailed(this.wire.closeError);
    else this.#lose(broken(this.wire.closeError));
  }

  // The peer's frames.

  headers(id: number, flat: string[], flaw: string | undefined, end: boolean): void {
    if ((id + 1) / 2 > this.#span.requests) this.#span.exceeded();
    this.#stream(id)?.head(flat, flaw, end);
  }

  body(id: number, bytes: Buffer, from: number, to: number, cost: number, end: boolean): void {
    this.#receiveWindow -= cost;
    if (this.#receiveWindow < 0) throw new ConnectionError(FLOW_CONTROL_ERROR, "more than the window");
    if (this.#receiveWindow < CONNECTION_WINDOW / 2) {
      // Whatever a reader does: its stream's window holds it back, not those of the others.
      this.#writer.windowUpdate(0, CONNECTION_WINDOW - this.#receiveWindow);
      this.#receiveWindow = CONNECTION_WINDOW;
    }
    this.#stream(id)?.content(bytes, from, to, cost, end);
  }

  reset(id: number, code: number): void {
    const stream = this.#stream(id);
    if (stream === undefined) return;
    this.streamEnded(stream);
    stream.wasReset(code);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    for (const [id, value] of settings) this.#set(id, value);
    this.#writer.settingsAck();
    if (this.#limit > 0) this.#pool.perConnection = Math.min(this.#limit, this.#span.requests);
    if (this.#state === "open") this.#pool.freed(this);
    else if (this.#state === "opening" && this.#limit > 0) {
      this.#state = "open";
      this.#pool.opened(this);
    }
  }

  ping(payload: Buffer, ack: boolean): void {
    if (ack) this.#pingDeadline = Infinity;
    else this.#writer.ping(payload, true);
  }

  goaway(last: number, code: number): void {
    const error = broken(new Error(`GOAWAY with code ${code}`));
    if (this.#state === "opening") {
      this.openingFailed(error.cause);
      return;
    }
    // Once a connection: some servers say the same again when they close it.
    if (code === NO_ERROR && last < MAX_31 && this.#state === "open") {
      this.#span.ended((last + 1) / 2);
      this.#pool.perConnection = Math.min(this.#pool.perConnection, this.#span.requests);
    }
    const refused = [...this.#streams.values()].filter(({ id }) => id > last);
    this.#drain();
    for (const stream of refused) this.streamEnded(stream);
    for (const stream of refused) stream.unprocessed(error, false);
  }

  windowUpdate(id: number, increment: number): void {
    if (id === 0) {
      this.#sendRoom.open(increment);
      return;
    }
    const stream = this.#stream(id);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_31) this.streamError(id, FLOW_CONTROL_ERROR);
    else this.#sendRoom.wake(stream);
  }

  idleFrame(): void {}

  streamError(id: number, code: number): void {
    this.#stream(id)?.refuse("flow control by nothing, or beyond measure", code);
  }

  #set(id: number, value: number): void {
    switch (id) {
      case HEADER_TABLE_SIZE:
        this.#writer.tableSize = value;
        break;
      case MAX_CONCURRENT_STREAMS:
        // A peer that takes nothing yet says so with 0 and may change its mind.
        this.#limit = Math.min(value, MAX_STREAMS);
        break;
      case INITIAL_WINDOW_SIZE: {
        // RFC 9113 §6.9.2: it holds for streams that are open, too, and may leave them below 0.
        for (const stream of this.#streams.values()) {
          stream.sendWindow += value - this.#streamWindow;
          if (stream.sendWindow > MAX_31)
            throw new ConnectionError(FLOW_CONTROL_ERROR, "a window beyond 2^31");
        }
        this.#streamWindow = value;
        this.#sendRoom.wakeAll();
        break;
      }
      case ENABLE_PUSH:
        // RFC 9113 §6.5.2: a server must not say 1.
        if (value !== 0) throw new ConnectionError(PROTOCOL_ERROR, "a server that wants to be pushed to");
        break;
      default:
    }
  }

  /** The stream, or undefined for one that is over. */
  #stream(id: number): Http2Stream | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined && (id >= this.#nextId || id % 2 === 0)) {
      throw new ConnectionError(PROTOCOL_ERROR, "a frame on a stream that nobody opened");
    }
    return stream;
  }

  // How it ends.

  /** No new streams; those under way go on (RFC 9113 §6.8). */
  #drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#pool.retired(this);
    if (this.#streams.size === 0) this.#goodbye(NO_ERROR);
  }

  /** The peer broke the protocol. */
  #breach(error: unknown): void {
    const known = error instanceof ConnectionError;
    if (this.#state === "opening") {
      this.openingFailed(known ? new WrongProtocol("it does not speak HTTP/2", { cause: error }) : error);
      return;
    }
    this.#goodbye(known ? error.code : INTERNAL_ERROR);
    this.#abandon(malformed(known ? error.message : "unreadable", error));
  }

  /** Closes with GOAWAY. */
  #goodbye(code: number): void {
    this.#state = "closed";
    this.#reader.stop();
    this.#writer.goaway(0, code);
    this.#writer.flush();
    // Not the wire's own `close`: over TLS that one waits for the peer to close, too.
    this.wire.socket?.close();
    this.#pool.closed(this);
  }

  /** It is gone, or of no use. */
  #lose(error: unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#reader.stop();
    if (this.#streams.size === 0) this.wire.socket?.close();
    else this.wire.destroy();
    this.#pool.closed(this);
    this.#abandon(error);
  }

  #abandon(error: unknown): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) {
      this.#sendRoom.forget(stream);
      stream.lost(error);
    }
  }
}
