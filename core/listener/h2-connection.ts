import { type ConnectionFacts, SluiceError } from "sluice/plugin";
import { cutOff } from "../http1/departures.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import {
  type ByteSink,
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
  type ReadLimits,
  REFUSED_STREAM,
  SendRoom,
  STREAM_CLOSED,
  StreamError,
} from "../http2/index.ts";
import { FrameBudget } from "./h2-budget.ts";
import { H2Departure } from "./h2-departure.ts";
import { H2Intake } from "./h2-intake.ts";
import { H2Leftovers } from "./h2-leftovers.ts";
import { ReceiveWindow } from "./h2-receive-window.ts";
import type { H2Shared } from "./h2-shared.ts";
import { gone, type H2Stream, RECEIVE_WINDOW, type StreamHost } from "./h2-stream.ts";

/** Milliseconds in which a client that broke the protocol has to take some of what it was sent. */
const LITTLE_PATIENCE = 2_000;
/** Unsent bytes from which on nothing more is read: a client that only sends must not fill our memory. */
const FULL = 1_048_576;
/**
 * Bytes of request bodies that are held for their readers, and are under way, over all streams of a connection: it takes
 * as many uploads whose readers are behind to hold up the others.
 */
const CONNECTION_WINDOW = 8 * RECEIVE_WINDOW;

/** What the connections of a server have in common while its limits stay. */
export interface ConnectionSettings {
  readonly streams: number;
  readonly resets: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly headerList: number;
  readonly read: ReadLimits;
}

/** One HTTP/2 connection of a client (RFC 9113): its frames, its streams, its deadlines and its end. */
export class H2Connection implements WireOwner, FrameEvents, StreamHost, ByteSink {
  readonly shared: H2Shared;
  readonly facts: ConnectionFacts;
  readonly writer: FrameWriter;
  readonly sendRoom: SendRoom;
  readonly #wire: Wire;
  readonly #closed: (connection: H2Connection) => void;
  readonly #reader: FrameEventReader;
  readonly #budget: FrameBudget;
  readonly #window: ReceiveWindow;
  readonly #intake: H2Intake;
  readonly #departure: H2Departure;
  readonly #streams = new Map<number, H2Stream>();
  /** As the client was told, whatever became of the limit since. */
  readonly #mostStreams: number;
  readonly #leftovers: H2Leftovers;
  #prefaceAt = 0;
  #paused = false;
  /** The highest stream that the client opened, and how many it opened. */
  #lastStream = 0;
  #opened = 0;
  /** What the client grants a new stream. */
  #streamWindow = DEFAULT_WINDOW;
  readonly #openedAt: number;
  /** When the header block that is being read began; 0 where none is. `#blocks` were read before. */
  #headSince = 0;
  #blocks = 0;
  #idleSince: number;
  /** The connection began to close. Nothing is read then. */
  #closing = false;
  #cutBy: SluiceError | undefined;

  constructor(
    shared: H2Shared,
    settings: ConnectionSettings,
    wire: Wire,
    facts: ConnectionFacts,
    closed: (connection: H2Connection) => void,
  ) {
    this.shared = shared;
    this.facts = facts;
    this.#wire = wire;
    this.#closed = closed;
    this.#openedAt = shared.now;
    this.#idleSince = shared.now;
    this.#mostStreams = settings.streams;
    this.#budget = new FrameBudget(settings.resets);
    this.#reader = new FrameEventReader(this, settings.read);
    this.writer = new FrameWriter(this);
    this.sendRoom = new SendRoom(this.writer);
    this.#intake = new H2Intake(this);
    this.#departure = new H2Departure(this.writer, wire);
    this.#leftovers = new H2Leftovers((id) => this.writer.reset(id, NO_ERROR));
    this.writer.settings(
      [MAX_CONCURRENT_STREAMS, settings.streams],
      [INITIAL_WINDOW_SIZE, RECEIVE_WINDOW],
      [MAX_HEADER_LIST_SIZE, settings.headerList],
    );
    this.#window = new ReceiveWindow(this.writer, CONNECTION_WINDOW);
  }

  // The wire.

  data(chunk: Uint8Array): void {
    if (this.#closing) return;
    try {
      const rest = this.#prefaceAt < PREFACE.byteLength ? this.#afterPreface(chunk) : chunk;
      // The runtime hands out Buffers; the wire's type does not say so.
      this.#reader.pushOwned(rest as Buffer);
    } catch (error) {
      this.#broken(error);
    }
    this.#wasRead();
  }

  /** RFC 9113 §3.4. */
  #afterPreface(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (at < chunk.byteLength && this.#prefaceAt < PREFACE.byteLength) {
      if (chunk[at++] !== PREFACE[this.#prefaceAt++]) throw breach("not an HTTP/2 preface", "preface");
    }
    return chunk.subarray(at);
  }

  /** All of what came was looked at. */
  #wasRead(): void {
    // What was broken off with the connection is over by now.
    this.#intake.handOn(this.#streams);
    if (this.#closing) return;
    const reader = this.#reader;
    if (!reader.inBlock) this.#headSince = 0;
    else if (this.#headSince === 0 || reader.blocks !== this.#blocks) this.#headSince = this.shared.now;
    this.#blocks = reader.blocks;
    this.#nameLast(0);
    if (this.writer.waiting < FULL || this.#paused) return;
    // Only where the wire is behind will it say when it goes on.
    this.writer.flush();
    if (this.writer.waiting < FULL) return;
    this.#paused = true;
    this.#wire.pause();
  }

  write(bytes: Uint8Array, length: number): number {
    const taken = this.#wire.write(bytes, length);
    this.#budget.earn(taken);
    return taken;
  }

  drained(): void {
    this.writer.drained();
    this.#departure.drained(this.shared.now);
    if (this.sendRoom.congested) return;
    if (this.#paused) {
      this.#paused = false;
      this.#wire.resume();
    }
    this.sendRoom.wakeAll();
  }

  ended(): void {
    // A client that cannot send any more cannot open windows either: it left, or it has heard our last word.
    if (this.#departure.finished) this.#wire.close();
    // What is owed to it after the last stream is in the wire's hands, or waits for it alone.
    else if (!this.#closing) this.#wire.destroy();
  }

  closed(): void {
    this.#startClosing();
    try {
      this.#abandon(this.#cutBy ?? gone());
    } finally {
      this.#closed(this);
    }
  }

  // The client's frames.

  headers(id: number, flat: string[], flaw: string | undefined, end: boolean): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      if (stream.requestDone) throw closedStream();
      stream.trailers(flat, flaw, end);
      return;
    }
    if (this.#isIdle(id)) {
      if ((id & 1) === 0) throw breach("a stream that no client opens", "stream_id");
      this.#lastStream = id;
      this.#opened++;
      this.#open(id, flat, flaw, end);
    } else if (this.#leftovers.has(id)) {
      if (end) this.#leftovers.delete(id);
    } else {
      // RFC 9113 §5.1.1: what was passed over cannot be opened any more.
      const wasOpen = id === this.#lastStream || this.#lastStream === 2 * this.#opened - 1;
      throw wasOpen ? closedStream() : breach("stream identifiers go back", "stream_id");
    }
  }

  body(id: number, bytes: Buffer, from: number, to: number, cost: number, end: boolean): void {
    this.#window.use(cost);
    const stream = this.#known(id, "DATA");
    if (stream !== undefined && !stream.requestDone) {
      stream.content(bytes, from, to, cost, end);
      return;
    }
    this.release(cost);
    if (stream !== undefined) this.breachOf(stream, STREAM_CLOSED);
    else if (!this.#leftovers.has(id)) this.#resetUnknown(id, STREAM_CLOSED);
    else if (end) this.#leftovers.delete(id);
  }

  reset(id: number): void {
    const stream = this.#known(id, "RST_STREAM");
    this.#leftovers.delete(id);
    if (stream !== undefined) {
      this.#streamOver(stream);
      stream.lost(gone());
    }
    this.#budget.chargeReset(this.shared.now);
  }

  windowUpdate(id: number, increment: number): void {
    if (id === 0) {
      this.sendRoom.open(increment);
      return;
    }
    const stream = this.#known(id, "WINDOW_UPDATE");
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_31) this.breachOf(stream, FLOW_CONTROL_ERROR);
    else stream.windowOpened();
  }

  streamError(id: number, code: number): void {
    const stream = this.#known(id, "WINDOW_UPDATE");
    if (stream !== undefined) this.breachOf(stream, code);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    let window = this.#streamWindow;
    for (const [id, value] of settings) {
      if (id === HEADER_TABLE_SIZE) this.writer.tableSize = value;
      // A frame may say it thousands of times; the last is what counts.
      else if (id === INITIAL_WINDOW_SIZE) window = value;
      else if (id === ENABLE_PUSH && value > 1) throw breach("ENABLE_PUSH is no flag", "settings");
    }
    this.writer.settingsAck();
    if (window !== this.#streamWindow) this.#setWindows(window);
  }

  ping(payload: Buffer, ack: boolean): void {
    if (ack) this.#departure.ponged(payload);
    else this.writer.ping(payload, true);
  }

  goaway(_lastStream: number, code: number): void {
    // We open no streams that it could refuse; a client that gives up closes the connection itself.
    if (code !== NO_ERROR) this.shared.log.debug({ code }, "an HTTP/2 client gave its connection up");
  }

  idleFrame(): void {
    this.#budget.chargeIdleFrame(this.shared.now);
  }

  /** RFC 9113 §6.9.2: it holds for streams that are open, too, and may leave their windows below 0. */
  #setWindows(value: number): void {
    const change = value - this.#streamWindow;
    this.#streamWindow = value;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > MAX_31)
        throw new ConnectionError(
          FLOW_CONTROL_ERROR,
          "INITIAL_WINDOW_SIZE makes a window overflow",
          "window",
        );
    }
    // Each by itself: what one sends may end it.
    for (const stream of this.#streams.values()) stream.windowOpened();
  }

  /** RFC 9113 §5.1. Stream 0 is none; we open no streams of our own. */
  #isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.#lastStream;
  }

  /** The stream that a frame is for; undefined for one that is over. */
  #known(id: number, frame: string): H2Stream | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined && this.#isIdle(id)) throw breach(`${frame} on an idle stream`, "idle_stream");
    return stream;
  }

  // Requests.

  #open(id: number, flat: string[], flaw: string | undefined, end: boolean): void {
    // RFC 9113 §8.7: the client may send either again, elsewhere. Not without end: it was told (§5.1.2, §6.8).
    if (id > this.#departure.last || this.#streams.size >= this.#mostStreams) {
      this.#refuseStream(id, REFUSED_STREAM, end);
      return;
    }
    try {
      this.#streams.set(id, this.#intake.read(id, flat, flaw, end, this.#streamWindow));
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#refuseStream(id, error.code, end);
    }
  }

  /** RST_STREAM for a request that was never handed on. */
  #refuseStream(id: number, code: number, end: boolean): void {
    if (!end) this.#leftovers.forsake(id);
    this.#resetUnknown(id, code);
  }

  /** A reset that the client has made us send costs it as much as one of its own (CVE-2025-8671). */
  #resetUnknown(id: number, code: number): void {
    this.writer.reset(id, code);
    this.#budget.chargeReset(this.shared.now);
  }

  // For its streams.

  release(bytes: number): void {
    if (!this.#closing) this.#window.release(bytes);
  }

  resetStream(stream: H2Stream, code: number): void {
    if (this.#streams.get(stream.id) !== stream) return;
    if (!stream.requestDone) this.#leftovers.forsake(stream.id);
    this.writer.reset(stream.id, code);
    this.#streamOver(stream);
  }

  breachOf(stream: H2Stream, code: number): void {
    this.resetStream(stream, code);
    const error = brokenStream();
    const { method, rawTarget } = stream;
    // Nobody else would hear of it.
    if (this.#intake.holds(stream))
      this.#intake.reject({
        code: error.code,
        reason: error.reason,
        message: error.message,
        method,
        rawTarget,
      });
    stream.lost(error);
    this.#budget.chargeReset(this.shared.now);
  }

  streamEnded(stream: H2Stream): void {
    if (!stream.requestDone && stream.endsByItself) this.#leftovers.add(stream.id, this.shared.now);
    // RFC 9113 §8.1: the rest of the request is not wanted, and nothing was wrong with it.
    else if (!stream.requestDone) this.resetStream(stream, NO_ERROR);
    this.#streamOver(stream);
    stream.ended();
  }

  #streamOver(stream: H2Stream): boolean {
    if (!this.#streams.delete(stream.id)) return false;
    if (this.#streams.size === 0) {
      this.#idleSince = this.shared.now;
      this.#finish();
    }
    return true;
  }

  // How it ends.

  /** Enforces the deadlines; `now` as in {@link H2Shared}. */
  sweep(now: number): void {
    const limits = this.shared.limits();
    if (this.#closing) {
      this.#departure.sweep(now);
      return;
    }
    const headSince = this.#reader.greeted ? this.#headSince : this.#openedAt;
    if (headSince !== 0 && now - headSince >= limits.headerTimeout) {
      const message = "a header block came too slowly";
      this.#intake.reject({ code: "request_timeout", reason: "timeout.head", message });
      this.#close(ENHANCE_YOUR_CALM, message);
      return;
    }
    for (const stream of this.#streams.values()) stream.sweep(now, limits);
    this.#leftovers.sweep(now);
    if (this.#departure.begun) this.#nameLast(now);
    else if (this.#streams.size === 0 && now - this.#idleSince >= limits.idleTimeout) this.drain();
  }

  /** Ends it in order: see {@link H2Departure}. */
  drain(): void {
    if (!this.#departure.begun && !this.#closing) this.#departure.begin(this.shared.now);
  }

  #nameLast(now: number): void {
    if (!this.#departure.isDue(now)) return;
    this.#departure.nameLast(this.#lastStream);
    this.#finish();
  }

  /** Closes when the last stream is done. */
  #finish(): void {
    if (this.#departure.last === Infinity || this.#closing || this.#streams.size > 0) return;
    this.#startClosing();
    this.#departure.end(this.shared.now, this.shared.limits().idleTimeout);
  }

  destroy(): void {
    this.#cutBy = cutOff();
    this.#wire.destroy();
  }

  /** The client broke the protocol, or we did not understand ourselves. */
  #broken(error: unknown): void {
    if (!(error instanceof ConnectionError)) {
      this.shared.log.error({ err: error }, "reading an HTTP/2 connection failed");
      this.#close(INTERNAL_ERROR, "");
      return;
    }
    const code = error.code === ENHANCE_YOUR_CALM ? "rate_limited" : "bad_request";
    this.#intake.reject({ code, reason: `http2.${error.reason}`, message: error.message });
    this.#close(error.code, error.message);
  }

  /** Says why and closes, streams and all. */
  #close(code: number, message: string): void {
    if (this.#closing) return;
    this.#startClosing();
    this.#departure.breakOff(this.#lastStream, code, message);
    this.#abandon(code === ENHANCE_YOUR_CALM ? gone() : brokenStream());
    this.#departure.end(this.shared.now, LITTLE_PATIENCE);
  }

  #startClosing(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#reader.stop();
  }

  #abandon(error: SluiceError): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.lost(error);
  }
}

/** The client's fault: a body unlike its content-length, a wrong frame. */
function brokenStream(): SluiceError {
  return new SluiceError("bad_request", "the request broke the protocol", { reason: "http2.stream" });
}

function closedStream(): ConnectionError {
  return new ConnectionError(STREAM_CLOSED, "a header block on a stream that is closed", "closed_stream");
}

function breach(what: string, reason: string): ConnectionError {
  return new ConnectionError(PROTOCOL_ERROR, what, reason);
}
