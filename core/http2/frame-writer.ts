import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  MAX_FRAME,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { OutBuffer } from "./out-buffer.ts";
import { atTurnEnd, type TurnEnd } from "./turn-end.ts";

/** What a {@link FrameWriter} writes to: how many of the first `length` bytes were taken, negative once it is closed. */
export interface ByteSink {
  write(bytes: Uint8Array, length: number): number;
}

/** A buffer that grew beyond this for once is not kept. */
const KEEP = 262_144;
/** Buffers that are kept for the next turn, whoever writes then: a connection with nothing to say holds none. */
const SPARE = 16;
const spare: OutBuffer[] = [];

/**
 * Writes a connection's frames. What is written in one turn of the event loop leaves in one piece, because the
 * call into the kernel is what costs. It never refuses: who produces looks at `waiting`.
 */
export class FrameWriter implements TurnEnd {
  readonly #sink: ByteSink;
  readonly #encoder = new HpackEncoder();
  #out: OutBuffer | undefined;
  #blocked = false;
  #scheduled = false;
  /** Where the last frame begins if it is HEADERS in one piece, or DATA; -1 where it is not. */
  #lastAt = -1;
  #lastStream = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Bytes that have not left. */
  get waiting(): number {
    return this.#out?.end ?? 0;
  }

  /** True while the sink takes nothing: until `drained`. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  set tableSize(size: number) {
    this.#encoder.tableSize = size;
  }

  /** Bytes that are no frame: a preface. */
  raw(bytes: Uint8Array): void {
    this.#begin().append(bytes);
  }

  settings(...settings: readonly (readonly [id: number, value: number])[]): void {
    const out = this.#begin();
    out.frame(settings.length * 6, SETTINGS, 0, 0);
    for (const [id, value] of settings) {
      out.byte(id >> 8);
      out.byte(id);
      out.u32(value);
    }
  }

  settingsAck(): void {
    this.#begin().frame(0, SETTINGS, ACK, 0);
  }

  /** @param payload eight bytes */
  ping(payload: Uint8Array, ack: boolean): void {
    const out = this.#begin();
    out.frame(8, PING, ack ? ACK : 0, 0);
    out.append(payload);
  }

  /** @param debug for whoever looks at the wire */
  goaway(lastStream: number, code: number, debug = ""): void {
    const out = this.#begin();
    const text = Buffer.from(debug);
    out.frame(8 + text.byteLength, GOAWAY, 0, 0);
    out.u32(lastStream);
    out.u32(code);
    out.append(text);
  }

  windowUpdate(stream: number, increment: number): void {
    const out = this.#begin();
    out.frame(4, WINDOW_UPDATE, 0, stream);
    out.u32(increment);
  }

  reset(stream: number, code: number): void {
    const out = this.#begin();
    out.frame(4, RST_STREAM, 0, stream);
    out.u32(code);
  }

  /** HEADERS with `flat` (name, value, name, value …), and CONTINUATION where that does not fit. */
  headers(stream: number, flat: readonly string[], end: boolean): void {
    const out = this.#begin();
    const at = out.end;
    out.frame(0, HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream);
    this.#encoder.encode(flat, out);
    const size = out.end - at - FRAME_HEADER;
    if (size > MAX_FRAME) {
      continued(out, stream, at, end);
      return;
    }
    out.bytes[at + 1] = size >> 8;
    out.bytes[at + 2] = size;
    this.#lastAt = at;
    this.#lastStream = stream;
  }

  /** `bytes` from `from` to `to`, at most {@link MAX_FRAME}. */
  data(stream: number, bytes: Uint8Array, from: number, to: number, end: boolean): void {
    const out = this.#begin();
    this.#lastAt = out.end;
    this.#lastStream = stream;
    out.frame(to - from, DATA, end ? END_STREAM : 0, stream);
    out.append(bytes, from, to);
  }

  /** The end of a stream whose HEADERS were sent: on its last frame where that is the last one and has not left. */
  end(stream: number): void {
    const out = this.#out;
    if (out === undefined || this.#lastAt < 0 || this.#lastStream !== stream) {
      this.data(stream, NOTHING, 0, 0, true);
      return;
    }
    const at = this.#lastAt + 4;
    out.bytes[at] = out.bytes[at]! | END_STREAM;
  }

  /** Hands over what waits, now. */
  flush(): void {
    const out = this.#out;
    if (this.#blocked || out === undefined || out.end === 0) return;
    this.#lastAt = -1;
    const taken = this.#sink.write(out.bytes, out.end);
    if (taken >= 0 && taken < out.end) {
      out.shift(taken);
      this.#blocked = true;
      return;
    }
    out.end = 0;
    this.#out = undefined;
    if (out.bytes.byteLength <= KEEP && spare.length < SPARE) spare.push(out);
  }

  /** The sink takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  turnEnds(): void {
    this.#scheduled = false;
    this.flush();
  }

  /** Where the next frame is written. */
  #begin(): OutBuffer {
    this.#lastAt = -1;
    if (!this.#scheduled) {
      this.#scheduled = true;
      atTurnEnd(this);
    }
    return (this.#out ??= spare.pop() ?? new OutBuffer());
  }
}

const NOTHING = new Uint8Array(0);

/** A block too large for one frame, written at `at`: cut up (RFC 9113 §6.10). */
function continued(out: OutBuffer, stream: number, at: number, end: boolean): void {
  const block = Buffer.from(out.bytes.subarray(at + FRAME_HEADER, out.end));
  out.end = at;
  for (let from = 0; from < block.byteLength; from += MAX_FRAME) {
    const to = Math.min(from + MAX_FRAME, block.byteLength);
    const last = to === block.byteLength ? END_HEADERS : 0;
    if (from === 0) out.frame(to, HEADERS, last | (end ? END_STREAM : 0), stream);
    else out.frame(to - from, CONTINUATION, last, stream);
    out.append(block, from, to);
  }
}
