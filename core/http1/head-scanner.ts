import { COLON, CR, HTAB, IN_VALUE, LF, SP, TOKEN_LOWER } from "./bytes.ts";
import { KNOWN_NAMES, knownName } from "./field-names.ts";
import { fieldValue, lowerCaseName } from "./interned.ts";
import type { HeadLimits } from "./message-head.ts";
import { MessageError } from "./message-error.ts";

// Phases, in the order in which a head passes them.
const BEFORE = 0;
const BEFORE_LF = 1;
const START = 2;
const START_LF = 3;
const LINE = 4;
const NAME = 5;
const SPACE = 6;
const VALUE = 7;
const VALUE_LF = 8;
const LAST_LF = 9;

// RFC 9112 §2.2 wants at least one empty line before a request forgiven.
const EMPTY_LINES = 2;
// A field is five numbers: its name's number or -1, then name start, name end, value start, value end.
const FIELD = 5;
const PIECE = 4096;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * Finds the lines of one start line and header block, or of a trailer section, in one pass over the bytes that
 * looks at each byte once, however the input is cut. A head inside one chunk is read where it lies; one that
 * spans chunks is carried over, never beyond its limits.
 */
export class HeadScanner {
  /** Where the head lies, from `origin` on, until `release`. */
  bytes = NOTHING;
  origin = 0;
  /** Length of the start line, without CRLF. */
  startLength = 0;
  /** Header fields found. */
  count = 0;
  /** Index in the last chunk of the first byte after the head. */
  next = 0;
  #phase = BEFORE;
  #marks: number[] = [];
  #origin = 0;
  #block = 0;
  #emptyLines = 0;
  #startMax = 0;
  #answer = false;
  #limits: HeadLimits = { headerBytes: 0, headerCount: 0 };
  #carry: Uint8Array | undefined;
  #carried = 0;
  #nameEnd = 0;
  #nameStart = 0;
  #valueStart = 0;

  /** Whether a part of the head is in (empty lines before it do not count). */
  get started(): boolean {
    return this.#carried > 0;
  }

  /** A request's head comes next; empty lines before it are forgiven. */
  beginRequest(limits: HeadLimits, startMax: number): void {
    this.#answer = false;
    this.#begin(BEFORE, limits, startMax);
  }

  /** An answer's head comes next. */
  beginResponse(limits: HeadLimits, startMax: number): void {
    this.#answer = true;
    this.#begin(START, limits, startMax);
  }

  /** A trailer section comes next: no start line. */
  beginTrailers(limits: HeadLimits): void {
    this.#begin(LINE, limits, 0);
  }

  #begin(phase: number, limits: HeadLimits, startMax: number): void {
    this.#phase = phase;
    this.#limits = limits;
    this.#startMax = startMax;
    this.#origin = -1;
    this.#block = 0;
    this.#emptyLines = 0;
    this.#carried = 0;
    this.count = 0;
    this.startLength = 0;
  }

  /** A field's name in lower case. */
  name(index: number): string {
    const at = index * FIELD;
    const id = this.#marks[at]!;
    if (id >= 0) return KNOWN_NAMES[id]!;
    return lowerCaseName(this.bytes, this.origin + this.#marks[at + 1]!, this.origin + this.#marks[at + 2]!);
  }

  /** The number of a field's name in the table of known names, or -1. */
  nameId(index: number): number {
    return this.#marks[index * FIELD]!;
  }

  /** A field's value without the white space around it. */
  value(index: number): string {
    const at = index * FIELD;
    const { bytes, origin } = this;
    return fieldValue(this.#marks[at]!, bytes, origin + this.#marks[at + 3]!, origin + this.#marks[at + 4]!);
  }

  /** Lets go of the message. */
  release(): void {
    this.bytes = NOTHING;
    this.#carry = undefined;
    this.#carried = 0;
  }

  /**
   * Reads on; true once the head is complete. `from` is where its next byte is.
   * @throws MessageError
   */
  feed(chunk: Uint8Array, from: number): boolean {
    if (this.#carried === 0) {
      if (this.#origin < 0) this.#origin = from;
      const stop = this.#run(chunk, from, chunk.byteLength);
      if (stop >= 0) {
        this.bytes = chunk;
        this.origin = this.#origin;
        this.next = stop;
        return true;
      }
      if (this.#phase > BEFORE_LF && this.#origin < chunk.byteLength) {
        this.#keep(chunk, this.#origin, chunk.byteLength);
        this.#origin = 0;
      } else {
        this.#origin = -1;
      }
      return false;
    }
    // In pieces: what follows the head in this chunk (a body) is not copied.
    for (let at = from; at < chunk.byteLength; at += PIECE) {
      const before = this.#carried;
      this.#keep(chunk, at, Math.min(at + PIECE, chunk.byteLength));
      const stop = this.#run(this.#carry!, before, this.#carried);
      if (stop < 0) continue;
      this.bytes = this.#carry!;
      this.origin = 0;
      this.next = at + (stop - before);
      return true;
    }
    return false;
  }

  #keep(chunk: Uint8Array, from: number, to: number): void {
    const size = this.#carried + (to - from);
    if (this.#carry === undefined || this.#carry.byteLength < size) {
      const grown = new Uint8Array(Math.max(1024, size * 2));
      if (this.#carry !== undefined) grown.set(this.#carry.subarray(0, this.#carried));
      this.#carry = grown;
    }
    this.#carry.set(chunk.subarray(from, to), this.#carried);
    this.#carried = size;
  }

  /** The index after the head's last byte, or -1 when all of `from` … `end` was read and more is needed. */
  #run(bytes: Uint8Array, from: number, end: number): number {
    let i = from;
    let phase = this.#phase;
    let origin = this.#origin;
    // No byte at or behind `stop` is looked at: the limit holds in one chunk as it does over many.
    let stop =
      phase < LINE
        ? Math.min(end, origin + this.#startMax + 1)
        : Math.min(end, origin + this.#block + this.#limits.headerBytes + 2);
    for (;;) {
      switch (phase) {
        case BEFORE:
          if (i === end) return this.#suspend(phase, false);
          if (bytes[i] === CR) {
            if (++this.#emptyLines > EMPTY_LINES)
              throw refused("start_line", "too many empty lines before it");
            i++;
            phase = BEFORE_LF;
            continue;
          }
          origin = this.#origin = i;
          stop = Math.min(end, origin + this.#startMax + 1);
          phase = START;
          continue;

        case BEFORE_LF:
          if (i === end) return this.#suspend(phase, false);
          if (bytes[i] !== LF) throw refused("line_terminator", "CR without LF");
          i++;
          phase = BEFORE;
          continue;

        case START: {
          let c = 0;
          while (i < stop && (c = bytes[i]!) >= SP && c !== 0x7f) i++;
          if (i === stop) return this.#suspend(phase, i - origin > this.#startMax);
          if (c !== CR && c !== HTAB) {
            throw c === LF
              ? refused("line_terminator", "LF without CR")
              : refused("start_line", "a control byte");
          }
          if (c === HTAB) {
            i++;
            continue;
          }
          this.startLength = i - origin;
          i++;
          phase = START_LF;
          continue;
        }

        case START_LF:
          if (i === end) return this.#suspend(phase, false);
          if (bytes[i] !== LF) throw refused("line_terminator", "CR without LF");
          i++;
          this.#block = i - origin;
          stop = Math.min(end, i + this.#limits.headerBytes + 2);
          phase = LINE;
          continue;

        case LINE: {
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          const c = bytes[i]!;
          if (c === CR) {
            i++;
            phase = LAST_LF;
            continue;
          }
          if (c === SP || c === HTAB) throw refused("obs_fold", "a field line begins with white space");
          this.#nameStart = i - origin;
          phase = NAME;
          continue;
        }

        case NAME: {
          while (i < stop && TOKEN_LOWER[bytes[i]!] !== 0) i++;
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          if (bytes[i] !== COLON) throw badName(bytes[i]!);
          this.#nameEnd = i - origin;
          if (this.#nameEnd === this.#nameStart) throw refused("field_name", "an empty field name");
          i++;
          phase = SPACE;
          continue;
        }

        case SPACE: {
          let c = 0;
          while (i < stop && ((c = bytes[i]!) === SP || c === HTAB)) i++;
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          this.#valueStart = i - origin;
          phase = VALUE;
          continue;
        }

        case VALUE: {
          while (i < stop && IN_VALUE[bytes[i]!] !== 0) i++;
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          const c = bytes[i]!;
          if (c !== CR) {
            throw c === LF
              ? refused("line_terminator", "LF without CR")
              : refused("field_value", "a control byte in a field value");
          }
          let last = i;
          const start = origin + this.#valueStart;
          while (last > start && (bytes[last - 1] === SP || bytes[last - 1] === HTAB)) last--;
          this.#mark(bytes, origin, last - origin);
          i++;
          phase = VALUE_LF;
          continue;
        }

        case VALUE_LF:
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          if (bytes[i] !== LF) throw refused("line_terminator", "CR without LF");
          i++;
          phase = LINE;
          continue;

        default:
          if (i === stop) return this.#suspend(phase, this.#full(i, origin));
          if (bytes[i] !== LF) throw refused("line_terminator", "CR without LF");
          return i + 1;
      }
    }
  }

  #mark(bytes: Uint8Array, origin: number, valueEnd: number): void {
    if (this.count >= this.#limits.headerCount) {
      throw new MessageError("headers_too_large", "limits.header_count", "too many header fields");
    }
    const marks = this.#marks;
    const at = this.count * FIELD;
    const nameStart = this.#nameStart;
    const nameEnd = this.#nameEnd;
    marks[at] = knownName(bytes, origin + nameStart, origin + nameEnd);
    marks[at + 1] = nameStart;
    marks[at + 2] = nameEnd;
    marks[at + 3] = this.#valueStart;
    marks[at + 4] = valueEnd;
    this.count++;
  }

  #full(i: number, origin: number): boolean {
    return i - origin - this.#block >= this.#limits.headerBytes + 2;
  }

  #suspend(phase: number, overLimit: boolean): -1 {
    if (overLimit) {
      if (phase >= LINE) {
        throw new MessageError("headers_too_large", "limits.header_bytes", "the header block is too large");
      }
      throw this.#answer
        ? refused("status_line", "an endless status line")
        : new MessageError("uri_too_long", "limits.url", "the request target is too long");
    }
    this.#phase = phase;
    return -1;
  }
}

function refused(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed head: ${what}`);
}

function badName(byte: number): MessageError {
  // RFC 9112 §5.1: white space between name and colon has led to smuggling.
  if (byte === SP || byte === HTAB)
    return refused("space_before_colon", "white space before a field's colon");
  if (byte === CR || byte === LF) return refused("field_line", "a field line without a colon");
  return refused("field_name", "an illegal byte in a field name");
}

let spare: HeadScanner | undefined;

/** A scanner to hold while a head is read; one is enough where heads come whole. */
export function takeScanner(): HeadScanner {
  const scanner = spare ?? new HeadScanner();
  spare = undefined;
  return scanner;
}

/** Gives it back once the head's fields were taken out, or the head was refused. */
export function returnScanner(scanner: HeadScanner): void {
  scanner.release();
  spare = scanner;
}
