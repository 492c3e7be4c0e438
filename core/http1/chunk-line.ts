import { CR, HEX, IN_VALUE, LF, TOKEN_LOWER } from "./bytes.ts";
import { MessageError } from "./message-error.ts";

// Extension bytes that a body may carry beside its data: each costs the reader time without moving any.
const EXTENSION_BYTES = 4096;
// Of the data, what they may be besides: signatures of chunks are a few hundredths.
const EXTENSION_SHARE = 8;
// 2^53 has 14 hexadecimal digits; more can only be padding.
const DIGITS = 16;

const SIZE = 0;
const NAME = 1;
const VALUE = 2;
const TOKEN = 3;
const QUOTED = 4;
const ESCAPED = 5;
const CLOSED = 6;
const LAST = 7;

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Reads `chunk-size [ chunk-ext ] CRLF` (RFC 9112 §7.1) byte by byte. Sizes are plain hexadecimal digits:
 * neither sign nor `0x` nor white space. Extensions must be well-formed, without the white space that the RFC
 * calls bad, and are ignored.
 */
export class ChunkLine {
  /** The chunk's size once `complete`. */
  size = 0;
  complete = false;
  #state = SIZE;
  #digits = 0;
  /** Extension bytes that may still come. */
  #room = 0;
  /** Bytes of the extension name that is being read. */
  #named = 0;

  beginBody(): void {
    this.#room = EXTENSION_BYTES;
    this.beginChunk();
  }

  beginChunk(): void {
    this.size = 0;
    this.complete = false;
    this.#state = SIZE;
    this.#digits = 0;
  }

  /** Reads on from `from`; answers the index after the line, or the input's end. @throws MessageError */
  feed(bytes: Uint8Array, from: number): number {
    const end = bytes.byteLength;
    let i = from;
    while (i < end) {
      const c = bytes[i++]!;
      if (this.#state === SIZE) {
        const digit = HEX[c]!;
        if (digit !== 0xff) {
          if (++this.#digits > DIGITS) throw refused("the chunk size has too many digits");
          this.size = this.size * 16 + digit;
          continue;
        }
        if (this.#digits === 0) throw refused("an illegal chunk size");
        if (this.size > Number.MAX_SAFE_INTEGER) throw refused("the chunk size is too large");
      } else if (this.#state === LAST) {
        if (c !== LF) throw refused("CR without LF in a chunk line");
        this.complete = true;
        this.#room += Math.floor(this.size / EXTENSION_SHARE);
        return i;
      } else if (--this.#room < 0) {
        throw refused("too many chunk extensions");
      }
      this.#state = this.#after(c);
    }
    return i;
  }

  /** The state after byte `c` of the extensions, or of the end of the line. */
  #after(c: number): number {
    switch (this.#state) {
      case NAME:
        if (TOKEN_LOWER[c] !== 0) {
          this.#named++;
          return NAME;
        }
        if (this.#named === 0) throw refused("an illegal chunk extension");
        if (c === EQUALS) return VALUE;
        return this.#endOfItem(c);
      case VALUE:
        if (c === QUOTE) return QUOTED;
        if (TOKEN_LOWER[c] !== 0) return TOKEN;
        throw refused("an illegal chunk extension");
      case TOKEN:
        return TOKEN_LOWER[c] !== 0 ? TOKEN : this.#endOfItem(c);
      case QUOTED:
        if (c === QUOTE) return CLOSED;
        if (c === BACKSLASH) return ESCAPED;
        if (IN_VALUE[c] !== 0) return QUOTED;
        throw refused("an illegal chunk extension");
      case ESCAPED:
        if (IN_VALUE[c] !== 0) return QUOTED;
        throw refused("an illegal chunk extension");
      default:
        return this.#endOfItem(c);
    }
  }

  #endOfItem(c: number): number {
    if (c === CR) return LAST;
    if (c !== SEMICOLON)
      throw refused(c === LF ? "LF without CR in a chunk line" : "an illegal byte in a chunk line");
    this.#named = 0;
    return NAME;
  }
}

function refused(what: string): MessageError {
  return new MessageError("bad_request", "malformed.chunk_size", `malformed body: ${what}`);
}
