import { FrameReader, type FrameSink } from "./frame-reader.ts";
import {
  ACK,
  ConnectionError,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  MAX_31,
  PADDED,
  PING,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { type FieldLimits, HpackDecoder } from "./hpack-decoder.ts";

/** What a peer's frames say. Each may throw a {@link ConnectionError}. */
export interface FrameEvents {
  /** A whole header block. `flaw` is what makes the message malformed. */
  headers(stream: number, flat: string[], flaw: string | undefined, end: boolean): void;
  /** `cost` is what the frame takes of the windows: its padding counts. */
  body(stream: number, bytes: Buffer, cost: number, end: boolean): void;
  reset(stream: number, code: number): void;
  /** Pairs of identifier and value; the acknowledgement is the receiver's to send. */
  settings(settings: readonly (readonly [id: number, value: number])[]): void;
  settingsAcknowledged(): void;
  ping(payload: Buffer, ack: boolean): void;
  goaway(lastStream: number, code: number): void;
  /** `increment` is above 0; stream 0 is the connection. */
  windowUpdate(stream: number, increment: number): void;
  /** A stream's WINDOW_UPDATE by 0, which is that stream's error alone (RFC 9113 §6.9). */
  streamError(stream: number, code: number): void;
}

/** Frames of one header block: more is an attack (each may be empty and costs nothing to send). */
const MAX_CONTINUATIONS = 32;

/** What the reader's input must hold to be freed by `pushOwned`, bytes. */
export const FREED_INPUT = 65_536;

/** Reads a connection's bytes as frames, holds them against RFC 9113 §6, and says what they mean. */
export class FrameEventReader implements FrameSink {
  readonly #events: FrameEvents;
  readonly #reader = new FrameReader(this);
  readonly #decoder: HpackDecoder;
  readonly #limits: FieldLimits;
  #first = true;
  /** A header block that goes on in CONTINUATION frames. */
  #stream = 0;
  #ends = false;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(events: FrameEvents, limits: FieldLimits) {
    this.#events = events;
    this.#limits = limits;
    this.#decoder = new HpackDecoder(limits);
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
    const { buffer } = chunk;
    // A header block that is not complete lies in it, too.
    if (this.#parts.length > 0 || chunk.byteLength !== buffer.byteLength) return;
    if (buffer.byteLength >= FREED_INPUT && buffer instanceof ArrayBuffer) buffer.transfer(0);
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#reader.stop();
  }

  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    // RFC 9113 §3.4: the peer's first word is SETTINGS.
    if (this.#first && (type !== SETTINGS || flags & ACK)) throw breach("no SETTINGS first");
    this.#first = false;
    if (this.#stream !== 0 && (type !== CONTINUATION || stream !== this.#stream)) {
      throw breach("a frame in the middle of a header block");
    }
    switch (type) {
      case DATA:
        this.#data(flags, of(stream), payload);
        break;
      case HEADERS:
        this.#headers(flags, of(stream), payload);
        break;
      case CONTINUATION:
        if (this.#stream === 0) throw breach("CONTINUATION of nothing");
        this.#block(payload, (flags & END_HEADERS) !== 0);
        break;
      case RST_STREAM:
        sized(payload, 4);
        this.#events.reset(of(stream), payload.readUInt32BE());
        break;
      case SETTINGS:
        this.#settings(flags, stream, payload);
        break;
      case PUSH_PROMISE:
        // Servers are told not to, and clients cannot.
        throw breach("PUSH_PROMISE");
      case PING:
        connectionWide(stream);
        sized(payload, 8);
        this.#events.ping(payload, (flags & ACK) !== 0);
        break;
      case GOAWAY:
        connectionWide(stream);
        if (payload.byteLength < 8) throw new ConnectionError(FRAME_SIZE_ERROR, "a short GOAWAY");
        this.#events.goaway(payload.readUInt32BE() & MAX_31, payload.readUInt32BE(4));
        break;
      case WINDOW_UPDATE:
        this.#windowUpdate(stream, payload);
        break;
      default:
      // PRIORITY says nothing any more (RFC 9113 §5.3.2); of unknown types nobody may complain (§4.1).
    }
  }

  #data(flags: number, stream: number, payload: Buffer): void {
    const bytes = flags & PADDED ? unpadded(payload) : payload;
    this.#events.body(stream, bytes, payload.byteLength, (flags & END_STREAM) !== 0);
  }

  #headers(flags: number, stream: number, payload: Buffer): void {
    let block = flags & PADDED ? unpadded(payload) : payload;
    if (flags & HAS_PRIORITY) {
      if (block.byteLength < 5) throw breach("a short HEADERS");
      block = block.subarray(5);
    }
    this.#ends = (flags & END_STREAM) !== 0;
    this.#stream = stream;
    this.#block(block, (flags & END_HEADERS) !== 0);
  }

  /** A piece of a header block. */
  #block(piece: Buffer, last: boolean): void {
    let block = piece;
    if (!last || this.#parts.length > 0) {
      this.#parts.push(piece);
      this.#size += piece.byteLength;
      if (this.#size > this.#limits.headerBytes * 2 || this.#parts.length > MAX_CONTINUATIONS) {
        throw new ConnectionError(ENHANCE_YOUR_CALM, "a header block without measure");
      }
      if (!last) return;
      block = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#size = 0;
    }
    const stream = this.#stream;
    this.#stream = 0;
    const { flat, flaw } = this.#decoder.decode(block);
    this.#events.headers(stream, flat, flaw, this.#ends);
  }

  #settings(flags: number, stream: number, payload: Buffer): void {
    connectionWide(stream);
    if (flags & ACK) {
      sized(payload, 0);
      this.#events.settingsAcknowledged();
      return;
    }
    if (payload.byteLength % 6 !== 0) throw new ConnectionError(FRAME_SIZE_ERROR, "SETTINGS in part");
    const settings: [number, number][] = [];
    for (let at = 0; at < payload.byteLength; at += 6) {
      settings.push([payload.readUInt16BE(at), payload.readUInt32BE(at + 2)]);
    }
    this.#events.settings(settings);
  }

  #windowUpdate(stream: number, payload: Buffer): void {
    sized(payload, 4);
    const increment = payload.readUInt32BE() & MAX_31;
    if (increment > 0) this.#events.windowUpdate(stream, increment);
    else if (stream === 0) throw breach("WINDOW_UPDATE by nothing");
    else this.#events.streamError(stream, PROTOCOL_ERROR);
  }
}

function breach(what: string): ConnectionError {
  return new ConnectionError(PROTOCOL_ERROR, what);
}

function of(stream: number): number {
  if (stream === 0) throw breach("a stream's frame on stream 0");
  return stream;
}

function connectionWide(stream: number): void {
  if (stream !== 0) throw breach("a connection's frame on a stream");
}

function sized(payload: Buffer, size: number): void {
  if (payload.byteLength !== size) throw new ConnectionError(FRAME_SIZE_ERROR, "a frame of the wrong size");
}

/** RFC 9113 §6.1. */
function unpadded(payload: Buffer): Buffer {
  const padding = payload[0];
  if (padding === undefined || padding >= payload.byteLength) throw breach("more padding than frame");
  return payload.subarray(1, payload.byteLength - padding);
}
