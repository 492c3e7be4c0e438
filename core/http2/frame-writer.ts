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
  OutBuffer,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { HpackEncoder } from "./hpack-encoder.ts";

/** What a {@link FrameWriter} writes to: how many bytes were taken, negative once it is closed. */
export interface ByteSink {
  write(bytes: Uint8Array): number;
}

/** A buffer that grew beyond this for once is not kept. */
const KEEP = 262_144;

/**
 * Writes a connection's frames. What is written in one turn of the event loop leaves in one piece, because the
 * call into the kernel is what costs. It never refuses: who produces looks at `waiting`.
 */
export class FrameWriter {
  readonly #sink: ByteSink;
  readonly #encoder = new HpackEncoder();
  #out = new OutBuffer();
  #blocked = false;
  #scheduled = false;
  readonly #flushSoon = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Bytes that have not left. */
  get waiting(): number {
    return this.#out.end;
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
    this.#out.append(bytes);
    this.#schedule();
  }

  settings(...settings: readonly (readonly [id: number, value: number])[]): void {
    this.#out.frame(settings.length * 6, SETTINGS, 0, 0);
    for (const [id, value] of settings) {
      this.#out.byte(id >> 8);
      this.#out.byte(id);
      this.#out.u32(value);
    }
    this.#schedule();
  }

  settingsAck(): void {
    this.#out.frame(0, SETTINGS, ACK, 0);
    this.#schedule();
  }

  /** @param payload eight bytes */
  ping(payload: Uint8Array, ack: boolean): void {
    this.#out.frame(8, PING, ack ? ACK : 0, 0);
    this.#out.append(payload);
    this.#schedule();
  }

  goaway(lastStream: number, code: number): void {
    this.#out.frame(8, GOAWAY, 0, 0);
    this.#out.u32(lastStream);
    this.#out.u32(code);
    this.#schedule();
  }

  windowUpdate(stream: number, increment: number): void {
    this.#out.frame(4, WINDOW_UPDATE, 0, stream);
    this.#out.u32(increment);
    this.#schedule();
  }

  reset(stream: number, code: number): void {
    this.#out.frame(4, RST_STREAM, 0, stream);
    this.#out.u32(code);
    this.#schedule();
  }

  /** HEADERS with `flat` (name, value, name, value …), and CONTINUATION where that does not fit. */
  headers(stream: number, flat: readonly string[], end: boolean): void {
    const out = this.#out;
    const at = out.end;
    out.frame(0, HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream);
    this.#encoder.encode(flat, out);
    const size = out.end - at - FRAME_HEADER;
    if (size <= MAX_FRAME) out.bytes.writeUIntBE(size, at, 3);
    else this.#continued(stream, at, end);
    this.#schedule();
  }

  /** @param bytes at most {@link MAX_FRAME} */
  data(stream: number, bytes: Uint8Array, end: boolean): void {
    this.#out.frame(bytes.byteLength, DATA, end ? END_STREAM : 0, stream);
    this.#out.append(bytes);
    this.#schedule();
  }

  /** Hands over what waits, now. */
  flush(): void {
    const out = this.#out;
    if (this.#blocked || out.end === 0) return;
    const taken = this.#sink.write(out.bytes.subarray(0, out.end));
    if (taken >= 0 && taken < out.end) {
      out.shift(taken);
      this.#blocked = true;
      return;
    }
    out.end = 0;
    if (out.bytes.byteLength > KEEP) this.#out = new OutBuffer();
  }

  /** The sink takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  /** A block too large for one frame, written at `at`: cut up (RFC 9113 §6.10). */
  #continued(stream: number, at: number, end: boolean): void {
    const out = this.#out;
    const block = Buffer.from(out.bytes.subarray(at + FRAME_HEADER, out.end));
    out.end = at;
    for (let from = 0; from < block.byteLength; from += MAX_FRAME) {
      const part = block.subarray(from, from + MAX_FRAME);
      const last = from + MAX_FRAME >= block.byteLength ? END_HEADERS : 0;
      const first = from === 0;
      out.frame(
        part.byteLength,
        first ? HEADERS : CONTINUATION,
        last | (first && end ? END_STREAM : 0),
        stream,
      );
      out.append(part);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#flushSoon);
  }
}
