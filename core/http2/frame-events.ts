import { FrameReader, type FrameSink } from "./frame-reader.ts";
import {
  ACK,
  ConnectionError,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_31,
  MAX_FRAME,
  MAX_FRAME_SIZE,
  PADDED,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { type FieldLimits, HpackDecoder } from "./hpack-decoder.ts";
import { OutBuffer } from "./out-buffer.ts";

/** What a peer's frames say. Each may throw a {@link ConnectionError}. */
export interface FrameEvents {
  /** A whole header block. `flaw` is what makes the message malformed. */
  headers(stream: number, flat: string[], flaw: string | undefined, end: boolean): void;
  /** `bytes` from `from` to `to`; `cost` is what the frame takes of the windows: its padding counts. */
  body(stream: number, bytes: Buffer, from: number, to: number, cost: number, end: boolean): void;
  reset(stream: number, code: number): void;
  /** Pairs of identifier and value, each within its range; the acknowledgement is the receiver's to send. */
  settings(settings: readonly (readonly [id: number, value: number])[]): void;
  ping(payload: Buffer, ack: boolean): void;
  goaway(lastStream: number, code: number): void;
  /** `increment` is above 0; stream 0 is the connection. */
  windowUpdate(stream: number, increment: number): void;
  /** A stream's WINDOW_UPDATE by 0, which is that stream's error alone (RFC 9113 §6.9). */
  streamError(stream: number, code: number): void;
  /** A frame that brings no message any further came, before what it says: only their number can be too large. */
  idleFrame(): void;
}

/** Bounds on what is read. */
export interface ReadLimits extends FieldLimits {
  /** Encoded bytes of one header block, over all of its frames. */
  readonly blockBytes: number;
}

/** CONTINUATION frames that any header block may have (each may be empty, and costs nothing to send) ... */
const CONTINUATIONS = 8;
/** ... and beyond them one for this many bytes of the limit. */
const CONTINUATION_BYTES = 4_096;

/** What no MAX_FRAME_SIZE may be above (RFC 9113 §6.5.2). */
const LARGEST_FRAME = 2 ** 24 - 1;

/** What the reader's input must hold to be freed by `pushOwned`, bytes. */
export const FREED_INPUT = 65_536;

/** Reads a connection's bytes as frames, holds them against RFC 9113 §6, and says what they mean. */
export class FrameEventReader implements FrameSink {
  readonly #events: FrameEvents;
  readonly #reader = new FrameReader(this);
  readonly #decoder: HpackDecoder;
  readonly #limits: ReadLimits;
  #greeted = false;
  #blocks = 0;
  /** The stream of a header block that goes on in CONTINUATION frames; 0 where none does. */
  #stream = 0;
  #ends = false;
  #block: OutBuffer | undefined;
  #continuations = 0;

  constructor(events: FrameEvents, limits: ReadLimits) {
    this.#events = events;
    this.#limits = limits;
    this.#decoder = new HpackDecoder(limits);
  }

  /** True once the peer's first SETTINGS came: until then it has said nothing. */
  get greeted(): boolean {
    return this.#greeted;
  }

  /** Header blocks that were read. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Whether a header block has begun and is not complete. */
  get inBlock(): boolean {
    return this.#stream !== 0 || this.#reader.waitsFor === HEADERS;
  }

  /** Reads on. @throws ConnectionError for what ends the connection; nothing may be pushed after it */
  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /**
   * The same for what nobody else looks at, and whose DATA is copied as it comes: a large `chunk` is freed when it was
   * read, rather than by a garbage collection that may be long in coming. @throws ConnectionError
   */
  pushOwned(chunk: Buffer): void {
    this.#reader.push(chunk);
    if (chunk.byteLength < FREED_INPUT) return;
    const { buffer } = chunk;
    if (chunk.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#reader.stop();
  }

  frame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    if (!this.#greeted) {
      // RFC 9113 §3.4: the peer's first word is SETTINGS.
      if (type !== SETTINGS || flags & ACK) throw breach("no SETTINGS first", "preface");
      this.#greeted = true;
    }
    if (this.#stream !== 0 && (type !== CONTINUATION || stream !== this.#stream)) {
      throw breach("a frame in the middle of a header block", "continuation");
    }
    const length = to - from;
    switch (type) {
      case DATA:
        this.#data(flags, of(stream), bytes, from, to);
        return;
      case HEADERS:
        this.#headers(flags, of(stream), bytes, from, to);
        return;
      case CONTINUATION:
        if (this.#stream === 0) throw breach("CONTINUATION of nothing", "continuation");
        this.#continuations++;
        this.#piece(bytes, from, to, (flags & END_HEADERS) !== 0);
        return;
      case RST_STREAM:
        sized(length, 4);
        this.#events.reset(of(stream), u32(bytes, from));
        return;
      case PUSH_PROMISE:
        // Servers are told not to, and clients cannot.
        throw breach("PUSH_PROMISE", "push");
      default:
        this.#events.idleFrame();
        this.#control(type, flags, stream, bytes, from, to);
    }
  }

  #control(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    switch (type) {
      case PRIORITY:
        // It says nothing any more (RFC 9113 §5.3.2).
        of(stream);
        sized(length, 5);
        break;
      case SETTINGS:
        connectionWide(stream);
        if (flags & ACK) sized(length, 0);
        else this.#events.settings(settingsOf(bytes, from, to));
        break;
      case PING:
        connectionWide(stream);
        sized(length, 8);
        this.#events.ping(bytes.subarray(from, to), (flags & ACK) !== 0);
        break;
      case GOAWAY:
        connectionWide(stream);
        if (length < 8) throw missized("a short GOAWAY");
        this.#events.goaway(u32(bytes, from) & MAX_31, u32(bytes, from + 4));
        break;
      case WINDOW_UPDATE: {
        sized(length, 4);
        const increment = u32(bytes, from) & MAX_31;
        if (increment > 0) this.#events.windowUpdate(stream, increment);
        else if (stream === 0) throw breach("WINDOW_UPDATE by nothing", "window");
        else this.#events.streamError(stream, PROTOCOL_ERROR);
        break;
      }
      default:
      // RFC 9113 §4.1: of unknown types nobody may complain.
    }
  }

  #data(flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    const end = (flags & END_STREAM) !== 0;
    if (from === to && !end) this.#events.idleFrame();
    const padding = flags & PADDED ? paddingOf(bytes, from, to) : 0;
    const first = flags & PADDED ? from + 1 : from;
    this.#events.body(stream, bytes, first, to - padding, to - from, end);
  }

  #headers(flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    const padding = flags & PADDED ? paddingOf(bytes, from, to) : 0;
    const first = from + (flags & PADDED ? 1 : 0) + (flags & HAS_PRIORITY ? 5 : 0);
    if (first > to - padding) throw breach("more padding than frame", "padding");
    this.#ends = (flags & END_STREAM) !== 0;
    this.#stream = stream;
    this.#continuations = 0;
    this.#piece(bytes, first, to - padding, (flags & END_HEADERS) !== 0);
  }

  /** A piece of a header block. */
  #piece(bytes: Buffer, from: number, to: number, last: boolean): void {
    if (last && this.#block === undefined) {
      this.#whole(bytes, from, to);
      return;
    }
    const block = (this.#block ??= new OutBuffer(to - from));
    const { blockBytes } = this.#limits;
    const most = CONTINUATIONS + blockBytes / CONTINUATION_BYTES;
    if (block.end + to - from > blockBytes || this.#continuations > most) {
      throw new ConnectionError(ENHANCE_YOUR_CALM, "a header block without end", "continuation_flood");
    }
    block.append(bytes, from, to);
    if (!last) return;
    this.#block = undefined;
    this.#whole(block.bytes, 0, block.end);
  }

  #whole(bytes: Buffer, from: number, to: number): void {
    const stream = this.#stream;
    this.#stream = 0;
    this.#blocks++;
    const flat = this.#decoder.decode(bytes, from, to);
    this.#events.headers(stream, flat, this.#decoder.flaw, this.#ends);
  }
}

/** RFC 9113 §6.5.1, §6.5.2. */
function settingsOf(bytes: Buffer, from: number, to: number): [number, number][] {
  if ((to - from) % 6 !== 0) throw missized("SETTINGS in part");
  const settings: [number, number][] = [];
  for (let at = from; at < to; at += 6) {
    const id = (bytes[at]! << 8) | bytes[at + 1]!;
    const value = u32(bytes, at + 2);
    if (id === INITIAL_WINDOW_SIZE && value > MAX_31)
      throw new ConnectionError(FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large", "settings");
    if (id === MAX_FRAME_SIZE && (value < MAX_FRAME || value > LARGEST_FRAME))
      throw breach("MAX_FRAME_SIZE is out of its range", "settings");
    settings.push([id, value]);
  }
  return settings;
}

function breach(what: string, reason?: string): ConnectionError {
  return new ConnectionError(PROTOCOL_ERROR, what, reason);
}

function missized(what: string): ConnectionError {
  return new ConnectionError(FRAME_SIZE_ERROR, what, "frame_size");
}

function of(stream: number): number {
  if (stream === 0) throw breach("a stream's frame on stream 0", "stream_id");
  return stream;
}

function connectionWide(stream: number): void {
  if (stream !== 0) throw breach("a connection's frame on a stream", "stream_id");
}

function sized(length: number, size: number): void {
  if (length !== size) throw missized("a frame of the wrong size");
}

/** RFC 9113 §6.1. */
function paddingOf(bytes: Buffer, from: number, to: number): number {
  if (from === to) throw missized("a padded frame without the length of its padding");
  const padding = bytes[from]!;
  // The length itself is one of the frame's bytes.
  if (padding >= to - from) throw breach("more padding than frame", "padding");
  return padding;
}

function u32(bytes: Buffer, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
