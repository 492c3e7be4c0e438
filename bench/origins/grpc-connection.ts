import {
  ACK,
  CONTINUATION,
  DATA,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_31,
  MAX_FRAME,
  NO_ERROR,
  PADDED,
  PING,
  PREFACE,
  PROTOCOL_ERROR,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../core/http2/frames.ts";
import { HpackDecoder } from "../../core/http2/hpack-decoder.ts";
import { OutBuffer } from "../../core/http2/index.ts";
import {
  ANSWER,
  framed,
  STREAM,
  STREAM_LENGTH,
  STREAM_REQUEST,
  UNARY,
  UNARY_REQUEST,
} from "./grpc-messages.ts";

interface Method {
  readonly request: Uint8Array;
  /** Of {@link MESSAGE}. */
  readonly messages: number;
}
const METHODS = new Map<string, Method>([
  [UNARY, { request: framed(UNARY_REQUEST), messages: 1 }],
  [STREAM, { request: framed(STREAM_REQUEST), messages: STREAM_LENGTH }],
]);
const MESSAGE = framed(ANSWER);

// Header blocks that leave the peer's table alone (RFC 7541 §6.2.2): they are the same bytes on each stream.
const STATUS_200 = 0x88;
const CONTENT_TYPE = [0x0f, 0x10, ...literal("application/grpc")];
const HEAD = Buffer.from([STATUS_200, ...CONTENT_TYPE]);
const OK = status(0);
const INVALID_ARGUMENT = Buffer.concat([HEAD, status(3)]);
const UNIMPLEMENTED = Buffer.concat([HEAD, status(12)]);

function status(code: number): Buffer {
  return Buffer.from([0x00, ...literal("grpc-status"), ...literal(String(code))]);
}

function literal(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

/** What a connection may have under way to us; of it, this much is given back at a time. */
const RECEIVE_WINDOW = 1 << 20;
const GIVE_BACK = RECEIVE_WINDOW >> 2;

interface Call {
  readonly id: number;
  readonly method: Method;
  /** Bytes of the request that have come, all of them right. */
  received: number;
  /** Its end has come, and the answer has begun. */
  answering: boolean;
  /** What the peer lets us send. */
  window: number;
  /** Of the answer's messages, bytes. */
  sent: number;
}

/**
 * One connection of the gRPC origin: HTTP/2 (RFC 9113) as far as a server needs it whose answers are always the same,
 * and no further, because a proxy is to be what is slow. A peer that breaks the rules is disconnected.
 */
export class GrpcConnection {
  readonly #out = new OutBuffer(65_536);
  readonly #decoder = new HpackDecoder({ headerBytes: 65_536, headerCount: 200 });
  readonly #calls = new Map<number, Call>();
  #greeted = false;
  /** Of the preface or a frame, what has come. */
  #partial: Buffer | undefined;
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  /** Bytes of DATA that have not been given back. */
  #taken = 0;
  /** A header block that goes on in CONTINUATION frames, and the flags of its HEADERS. */
  #block: Buffer | undefined;
  #flags = 0;

  constructor() {
    this.#out.frame(0, SETTINGS, 0, 0);
    this.#number(WINDOW_UPDATE, 0, RECEIVE_WINDOW - DEFAULT_WINDOW);
  }

  /** What is to be sent; `written` takes it off. */
  get output(): Buffer {
    return this.#out.bytes.subarray(0, this.#out.end);
  }

  written(bytes: number): void {
    this.#out.shift(bytes);
  }

  /** @throws Error for what makes no sense; the connection is of no use then */
  read(bytes: Buffer): void {
    const all = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const end = all.byteLength;
    let at = 0;
    if (!this.#greeted) {
      const known = Math.min(end, PREFACE.byteLength);
      if (all.compare(PREFACE, 0, known, 0, known) !== 0) throw new Error("no HTTP/2");
      this.#greeted = known === PREFACE.byteLength;
      if (this.#greeted) at = known;
    }
    while (this.#greeted && end - at >= FRAME_HEADER) {
      const length = all.readUIntBE(at, 3);
      if (length > MAX_FRAME) throw new Error("a frame that is too large");
      const next = at + FRAME_HEADER + length;
      if (next > end) break;
      const stream = all.readUInt32BE(at + 5) & MAX_31;
      this.#frame(all[at + 3]!, all[at + 4]!, stream, all.subarray(at + FRAME_HEADER, next));
      at = next;
    }
    this.#partial = at < end ? all.subarray(at) : undefined;
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case DATA:
        this.#data(flags, stream, payload);
        break;
      case HEADERS:
        this.#flags = flags;
        this.#headers(stream, unpadded(flags, payload), (flags & END_HEADERS) !== 0);
        break;
      case CONTINUATION:
        this.#headers(stream, payload, (flags & END_HEADERS) !== 0);
        break;
      case RST_STREAM:
        this.#calls.delete(stream);
        break;
      case SETTINGS:
        if ((flags & ACK) === 0) this.#settings(payload);
        break;
      case PING:
        if ((flags & ACK) !== 0) break;
        this.#out.frame(payload.byteLength, PING, ACK, 0);
        this.#out.append(payload);
        break;
      case WINDOW_UPDATE:
        this.#windowUpdate(stream, payload.readUInt32BE() & MAX_31);
        break;
      default:
      // PRIORITY and GOAWAY change nothing for us, and of unknown types nobody may complain (RFC 9113 §4.1).
    }
  }

  #headers(stream: number, piece: Buffer, last: boolean): void {
    const block = this.#block === undefined ? piece : Buffer.concat([this.#block, piece]);
    this.#block = last ? undefined : block;
    if (!last) return;
    const flat = this.#decoder.decode(block);
    const ends = (this.#flags & END_STREAM) !== 0;
    const known = this.#calls.get(stream);
    if (known !== undefined) {
      if (ends) this.#requestEnds(known);
      return;
    }
    const method = METHODS.get(flat[flat.indexOf(":path") + 1]!);
    if (method === undefined) {
      this.#refuse(stream, UNIMPLEMENTED, ends);
      return;
    }
    const call = { id: stream, method, received: 0, answering: false, window: this.#initialWindow, sent: 0 };
    this.#calls.set(stream, call);
    if (ends) this.#requestEnds(call);
  }

  #data(flags: number, stream: number, payload: Buffer): void {
    this.#taken += payload.byteLength;
    if (this.#taken >= GIVE_BACK) {
      this.#number(WINDOW_UPDATE, 0, this.#taken);
      this.#taken = 0;
    }
    const call = this.#calls.get(stream);
    // What was refused or reset may be under way for a while.
    if (call === undefined) return;
    const bytes = unpadded(flags & PADDED, payload);
    const { request } = call.method;
    const end = call.received + bytes.byteLength;
    // No stream's window is ever widened: what is right fits.
    if (end > request.byteLength || bytes.compare(request, call.received, end) !== 0) {
      this.#calls.delete(stream);
      this.#refuse(stream, INVALID_ARGUMENT, (flags & END_STREAM) !== 0);
      return;
    }
    call.received = end;
    if ((flags & END_STREAM) !== 0) this.#requestEnds(call);
  }

  #requestEnds(call: Call): void {
    if (call.received < call.method.request.byteLength) {
      this.#calls.delete(call.id);
      this.#refuse(call.id, INVALID_ARGUMENT, true);
      return;
    }
    call.answering = true;
    this.#fields(call.id, HEAD, 0);
    this.#answer(call);
  }

  /** Sends as much as the windows allow (RFC 9113 §6.9). */
  #answer(call: Call): void {
    const size = MESSAGE.byteLength;
    const total = call.method.messages * size;
    while (call.sent < total) {
      const from = call.sent % size;
      const length = Math.min(size - from, call.window, this.#window);
      if (length <= 0) return;
      this.#out.frame(length, DATA, 0, call.id);
      this.#out.append(length === size ? MESSAGE : MESSAGE.subarray(from, from + length));
      call.sent += length;
      call.window -= length;
      this.#window -= length;
    }
    this.#fields(call.id, OK, END_STREAM);
    this.#calls.delete(call.id);
  }

  /** An answer without messages. @param ended whether the request was at its end */
  #refuse(stream: number, block: Buffer, ended: boolean): void {
    this.#fields(stream, block, END_STREAM);
    // RFC 9113 §8.1: nobody need send the rest.
    if (!ended) this.#number(RST_STREAM, stream, NO_ERROR);
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.byteLength; at += 6) {
      if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const size = payload.readUInt32BE(at + 2);
      // Of streams that are open, too (RFC 9113 §6.9.2).
      for (const call of this.#calls.values()) call.window += size - this.#initialWindow;
      this.#initialWindow = size;
    }
    this.#out.frame(0, SETTINGS, ACK, 0);
    this.#goOn();
  }

  #windowUpdate(stream: number, increment: number): void {
    if (stream === 0) {
      this.#window += increment;
      this.#goOn();
      return;
    }
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    call.window += increment;
    if (call.answering) this.#answer(call);
  }

  #goOn(): void {
    for (const call of this.#calls.values()) if (call.answering) this.#answer(call);
  }

  #fields(stream: number, block: Buffer, flags: number): void {
    this.#out.frame(block.byteLength, HEADERS, END_HEADERS | flags, stream);
    this.#out.append(block);
  }

  #number(type: number, stream: number, value: number): void {
    this.#out.frame(4, type, 0, stream);
    this.#out.u32(value);
  }
}

/** Without what RFC 9113 §6.1 and §6.2 allow around it. */
function unpadded(flags: number, payload: Buffer): Buffer {
  const padding = flags & PADDED ? payload[0]! : -1;
  const from = (padding < 0 ? 0 : 1) + (flags & HAS_PRIORITY ? 5 : 0);
  return from === 0 ? payload : payload.subarray(from, payload.byteLength - Math.max(padding, 0));
}

/** Says why before the end of a connection (RFC 9113 §5.4.1). */
export const GOODBYE: Uint8Array = (() => {
  const out = new OutBuffer(FRAME_HEADER + 8);
  out.frame(8, GOAWAY, 0, 0);
  out.u32(0);
  out.u32(PROTOCOL_ERROR);
  return out.bytes;
})();
