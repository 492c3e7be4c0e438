/** Who looks at the body of an answer, as it comes. */
export interface BodyReader {
  /** A new answer is awaited. @param intended when its request fell due. @param counted whether it is measured */
  begin(intended: number, counted: boolean): void;
  /** Bytes `from` to `to` of `chunk` belong to it. @throws WrongAnswer */
  piece(chunk: Buffer, from: number, to: number): void;
  /** @throws WrongAnswer where something is missing */
  end(): void;
}

export class WrongAnswer extends Error {
  override readonly name = "WrongAnswer";
}

const CONTENT_LENGTH = Buffer.from("content-length");
const TRANSFER_ENCODING = Buffer.from("transfer-encoding");
const CONNECTION = Buffer.from("connection");
const CHUNKED = Buffer.from("chunked");
const CLOSE = Buffer.from("close");
const VERSION = Buffer.from("HTTP/1.1 ");
const LONGEST_LINE = 16_384;

type State = "status" | "header" | "length" | "size" | "chunk" | "chunk-end" | "trailer";

/**
 * Reads the answers of one HTTP/1.1 connection (RFC 9112), each of which must have `status` and the body that `body`
 * wants; in pieces, as they come, and without a copy.
 */
export class AnswerReader {
  readonly #status: number;
  readonly #body: BodyReader;
  #state: State = "status";
  /** Of the body or its chunk; -1 where nothing has said so. */
  #left = -1;
  #chunked = false;
  #interim = false;
  /** Whether the connection can be used again. */
  keepAlive = true;
  /** The line that was read last, without its end: a view of the chunk, or of `#split`. */
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  /** The beginning of a line whose end has not come. */
  #split: Buffer | undefined;

  constructor(status: number, body: BodyReader) {
    this.#status = status;
    this.#body = body;
  }

  begin(intended: number, counted: boolean): void {
    this.#state = "status";
    this.#body.begin(intended, counted);
  }

  /** @returns whether the answer is complete. @throws WrongAnswer */
  push(chunk: Buffer): boolean {
    let at = 0;
    const end = chunk.byteLength;
    while (at < end) {
      if (this.#state === "length" || this.#state === "chunk") {
        const to = Math.min(end, at + this.#left);
        this.#body.piece(chunk, at, to);
        this.#left -= to - at;
        at = to;
        if (this.#left > 0) return false;
        if (this.#state === "length") return this.#complete(chunk, at);
        this.#state = "chunk-end";
        continue;
      }
      at = this.#readLine(chunk, at);
      if (at < 0) return false;
      if (this.#takeLine()) return this.#complete(chunk, at);
    }
    return false;
  }

  #complete(chunk: Buffer, at: number): true {
    if (at < chunk.byteLength) throw new WrongAnswer("bytes behind the answer");
    this.#body.end();
    return true;
  }

  /** @returns where the next line begins, -1 where this one is not complete */
  #readLine(chunk: Buffer, at: number): number {
    const lf = chunk.indexOf(10, at);
    const to = lf < 0 ? chunk.byteLength : lf + 1;
    if (to - at + (this.#split?.byteLength ?? 0) > LONGEST_LINE) throw new WrongAnswer("a line without end");
    if (lf >= 0 && this.#split === undefined) {
      this.#bytes = chunk;
      this.#from = at;
      this.#to = lf - 1;
    } else {
      const part = chunk.subarray(at, to);
      this.#split = this.#split === undefined ? Buffer.from(part) : Buffer.concat([this.#split, part]);
      if (lf < 0) return -1;
      this.#bytes = this.#split;
      this.#from = 0;
      this.#to = this.#split.byteLength - 2;
      this.#split = undefined;
    }
    if (this.#to < this.#from || this.#bytes[this.#to] !== 13) throw this.#nonsense();
    return to;
  }

  /** @returns whether the answer ends with this line */
  #takeLine(): boolean {
    const empty = this.#from === this.#to;
    switch (this.#state) {
      case "status":
        this.#takeStatus();
        this.#state = "header";
        return false;
      case "header":
        if (!empty) {
          this.#takeField();
          return false;
        }
        return this.#takeHeadEnd();
      case "size":
        this.#left = this.#hex();
        this.#state = this.#left === 0 ? "trailer" : "chunk";
        return false;
      case "chunk-end":
        if (!empty) throw this.#nonsense();
        this.#state = "size";
        return false;
      case "trailer":
        return empty;
      case "length":
      case "chunk":
        throw new Error("no lines here");
    }
  }

  #takeStatus(): void {
    const { length } = VERSION;
    if (!this.#is(VERSION, this.#from, this.#from + length)) throw this.#nonsense();
    let status = 0;
    for (let i = 0; i < 3; i++) status = status * 10 + this.#bytes[this.#from + length + i]! - 48;
    this.#interim = status >= 100 && status < 200;
    if (!this.#interim && status !== this.#status) throw new WrongAnswer(`answered ${this.#text(length)}`);
    this.#left = -1;
    this.#chunked = false;
    this.keepAlive = true;
  }

  #takeField(): void {
    const colon = this.#bytes.indexOf(58, this.#from);
    if (colon <= this.#from || colon >= this.#to) throw this.#nonsense();
    const size = colon - this.#from;
    if (size === CONTENT_LENGTH.length && this.#is(CONTENT_LENGTH, this.#from, colon)) {
      const value = this.#value(colon);
      if (!/^\d{1,15}$/.test(value) || this.#left >= 0) throw this.#nonsense();
      this.#left = Number(value);
    } else if (size === TRANSFER_ENCODING.length && this.#is(TRANSFER_ENCODING, this.#from, colon)) {
      if (!this.#valueIs(CHUNKED, colon)) throw this.#nonsense();
      this.#chunked = true;
    } else if (size === CONNECTION.length && this.#is(CONNECTION, this.#from, colon)) {
      if (this.#valueIs(CLOSE, colon)) this.keepAlive = false;
    }
  }

  /** @returns whether the answer ends with its head */
  #takeHeadEnd(): boolean {
    if (this.#interim) {
      this.#state = "status";
      return false;
    }
    // One of them says how long it is (RFC 9112 §6.3); up to the connection's end could be cut short by anybody.
    if (this.#chunked === this.#left >= 0) throw new WrongAnswer("a body of no certain length");
    this.#state = this.#chunked ? "size" : "length";
    return this.#left === 0;
  }

  #hex(): number {
    let size = 0;
    let digits = 0;
    for (let i = this.#from; i < this.#to && this.#bytes[i] !== 59; i++, digits++) {
      const digit = hexDigit(this.#bytes[i]!);
      if (digit < 0) throw this.#nonsense();
      size = size * 16 + digit;
    }
    if (digits === 0 || digits > 8) throw this.#nonsense();
    return size;
  }

  /** Whether these bytes of the line are `text`, letters in any case. */
  #is(text: Buffer, from: number, to: number): boolean {
    if (to - from !== text.length || to > this.#to) return false;
    for (let i = 0; i < text.length; i++) if (lower(this.#bytes[from + i]!) !== lower(text[i]!)) return false;
    return true;
  }

  #valueIs(text: Buffer, colon: number): boolean {
    let from = colon + 1;
    while (from < this.#to && this.#bytes[from] === 32) from++;
    return this.#is(text, from, this.#to);
  }

  #value(colon: number): string {
    return this.#text(colon + 1 - this.#from).trim();
  }

  #text(skip: number): string {
    return this.#bytes.toString("latin1", this.#from + skip, Math.min(this.#to, this.#from + skip + 200));
  }

  #nonsense(): WrongAnswer {
    return new WrongAnswer(`no HTTP/1.1: ${JSON.stringify(this.#text(0))}`);
  }
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = lower(byte);
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
