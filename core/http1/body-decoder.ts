import type { HeaderList } from "sluice/plugin";
import { uncheckedHeaders } from "../plugin/headers.ts";
import { ChunkLine } from "./chunk-line.ts";
import { CR, LF, partOf } from "./bytes.ts";
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { type HeadScanner, returnScanner, takeScanner } from "./head-scanner.ts";
import { MessageError } from "./message-error.ts";
import type { HeadLimits } from "./message-head.ts";
import { filledByBody } from "./owned-memory.ts";
import { PieceJoiner } from "./piece-joiner.ts";
import { isForbiddenTrailer } from "./trailers.ts";

/** Where a decoded body goes. */
export interface BodySink {
  /** A piece of the body, never empty: a view of the input, or a copy where small chunks were joined. */
  bodyChunk(bytes: Uint8Array): void;
  /** The body is complete. Trailers without those that RFC 9110 §6.5.1 forbids; undefined where there are none. */
  bodyEnd(trailers: HeaderList | undefined): void;
}

export interface BodyDecoderOptions {
  /** Leaves trailers with an underscore in their names out, as the request parser does. @default false */
  readonly dropUnderscores?: boolean;
  /** @default 16 KiB, 64 fields */
  readonly trailers?: HeadLimits;
}

const TRAILER_LIMITS: HeadLimits = { headerBytes: 16_384, headerCount: 64 };

const IDLE = 0;
const COUNTED = 1;
const TO_CLOSE = 2;
const SIZE = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILERS = 7;

/** Takes one body after the other out of a connection's bytes. */
export class BodyDecoder {
  readonly #sink: BodySink;
  readonly #dropUnderscores: boolean;
  readonly #trailerLimits: HeadLimits;
  readonly #line = new ChunkLine();
  readonly #pieces: PieceJoiner;
  #state = IDLE;
  /** Bytes that the body, or its chunk, is still owed. */
  #owed = 0;
  #scanner: HeadScanner | undefined;

  constructor(sink: BodySink, options: BodyDecoderOptions = {}) {
    this.#sink = sink;
    this.#dropUnderscores = options.dropUnderscores ?? false;
    this.#pieces = new PieceJoiner(sink);
    this.#trailerLimits = options.trailers ?? TRAILER_LIMITS;
  }

  /** Whether a body is under way: `start` was called and its end has not come. */
  get active(): boolean {
    return this.#state !== IDLE;
  }

  /** Bytes still to come where the message said how many; undefined where it did not. 0 when none is under way. */
  get remaining(): number | undefined {
    if (this.#state === IDLE) return 0;
    return this.#state === COUNTED ? this.#owed : undefined;
  }

  /** Begins a body. `NO_BODY` and length 0 end it at once (`bodyEnd` is called). */
  start(framing: Framing): void {
    if (framing > 0) {
      this.#state = COUNTED;
      this.#owed = framing;
    } else if (framing === CHUNKED) {
      this.#state = SIZE;
      this.#line.beginBody();
    } else if (framing === UNTIL_CLOSE) {
      this.#state = TO_CLOSE;
    } else if (framing === NO_BODY || framing === 0) {
      this.#end(undefined);
    }
  }

  /**
   * Reads on in `chunk` from index `from`; answers the index of the first byte that is not the body's
   * (`chunk.byteLength` while it goes on, or when none is under way and nothing is left).
   * @throws MessageError for broken chunked coding; the decoder is of no use after it.
   */
  push(chunk: Uint8Array, from: number): number {
    if (from >= chunk.byteLength || this.#state === IDLE) return from;
    if (this.#state === COUNTED) {
      const to = Math.min(chunk.byteLength, from + this.#owed);
      this.#owed -= to - from;
      this.#sink.bodyChunk(view(chunk, from, to));
      if (this.#owed === 0) this.#end(undefined);
      return to;
    }
    if (this.#state === TO_CLOSE) {
      this.#sink.bodyChunk(view(chunk, from, chunk.byteLength));
      return chunk.byteLength;
    }
    return this.#pushChunked(chunk, from);
  }

  /** The peer sent FIN: true when no body is cut off by that (one that lasts until then ends now). */
  finish(): boolean {
    if (this.#state === TO_CLOSE) this.#end(undefined);
    return this.#state === IDLE;
  }

  /** RFC 9112 §7.1. */
  #pushChunked(chunk: Uint8Array, from: number): number {
    const end = chunk.byteLength;
    let i = from;
    this.#pieces.viewed = 0;
    while (i < end && this.#state !== IDLE) {
      switch (this.#state) {
        case SIZE:
          i = this.#line.feed(chunk, i);
          if (!this.#line.complete) break;
          this.#owed = this.#line.size;
          this.#state = this.#owed === 0 ? TRAILERS : DATA;
          break;

        case DATA: {
          const to = Math.min(end, i + this.#owed);
          this.#pieces.add(chunk, i, to);
          this.#owed -= to - i;
          i = to;
          if (this.#owed === 0) this.#state = DATA_CR;
          break;
        }

        case DATA_CR:
          if (chunk[i] !== CR) throw broken("chunk_data", "a chunk's data is not followed by CRLF");
          i++;
          this.#state = DATA_LF;
          break;

        case DATA_LF:
          if (chunk[i] !== LF) throw broken("chunk_data", "a chunk's data is not followed by CRLF");
          i++;
          this.#line.beginChunk();
          this.#state = SIZE;
          break;

        default:
          this.#pieces.flush();
          i = this.#pushTrailers(chunk, i);
      }
    }
    this.#pieces.flush();
    if (from === 0 && i === end) filledByBody(chunk, this.#pieces.viewed);
    return i;
  }

  #pushTrailers(chunk: Uint8Array, from: number): number {
    let scanner = this.#scanner;
    if (scanner === undefined) {
      scanner = this.#scanner = takeScanner();
      scanner.beginTrailers(this.#trailerLimits);
    }
    if (!scanner.feed(chunk, from)) return chunk.byteLength;
    this.#scanner = undefined;
    const flat: string[] = [];
    for (let i = 0; i < scanner.count; i++) {
      const name = scanner.name(i);
      if (isForbiddenTrailer(name) || (this.#dropUnderscores && name.includes("_"))) continue;
      flat.push(name, scanner.value(i));
    }
    const next = scanner.next;
    returnScanner(scanner);
    this.#end(flat.length === 0 ? undefined : uncheckedHeaders(flat));
    return next;
  }

  #end(trailers: HeaderList | undefined): void {
    this.#state = IDLE;
    this.#sink.bodyEnd(trailers);
  }
}

function view(chunk: Uint8Array, from: number, to: number): Uint8Array {
  return from === 0 && to === chunk.byteLength ? chunk : partOf(chunk, from, to);
}

function broken(reason: string, what: string): MessageError {
  return new MessageError("bad_request", `malformed.${reason}`, `malformed body: ${what}`);
}
