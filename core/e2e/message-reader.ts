/** A message of HTTP/1.1. */
export interface Message {
  /** The request line or the status line. */
  readonly start: string;
  /** Names in lower case; of a repeated one the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  /** False where the connection ended before the message did. */
  readonly complete: boolean;
}

type Head = Pick<Message, "start" | "headers">;
type Framing = { kind: "length"; left: number } | { kind: "chunked" } | { kind: "open" };

/**
 * Cuts a connection's bytes into messages. It shares no line with the gateway's codec and is strict about nothing:
 * it is for the messages that a gateway writes, to see whether somebody else reads in them what was meant.
 */
export class MessageReader {
  readonly #take: (message: Message) => void;
  readonly #hasBody: (head: Head) => boolean;
  readonly #openEnded: boolean;
  /** Bytes that no message has yet; joined when there are `#wanted` of them. */
  #pieces: Uint8Array[] = [];
  #held = 0;
  #wanted = 1;
  #head: Head | undefined;
  #framing: Framing = { kind: "length", left: 0 };
  #body: Uint8Array[] = [];

  /**
   * @param hasBody whether a message may have a body, whatever its headers say.
   * @param openEnded whether a body without a length ends with the connection, as an answer's does.
   */
  constructor(take: (message: Message) => void, hasBody: (head: Head) => boolean, openEnded: boolean) {
    this.#take = take;
    this.#hasBody = hasBody;
    this.#openEnded = openEnded;
  }

  /** A message has begun. */
  get started(): boolean {
    return this.#head !== undefined || this.#held > 0;
  }

  feed(chunk: Uint8Array): void {
    this.#pieces.push(Uint8Array.from(chunk));
    this.#held += chunk.byteLength;
    if (this.#held < this.#wanted) return;
    let bytes: Buffer | undefined = Buffer.concat(this.#pieces);
    this.#wanted = 1;
    while (bytes !== undefined) {
      this.#pieces = bytes.byteLength > 0 ? [bytes] : [];
      this.#held = bytes.byteLength;
      bytes = bytes.byteLength > 0 ? this.#step(bytes) : undefined;
    }
  }

  /** The connection is over. */
  end(): void {
    if (this.#head === undefined) return;
    if (this.#framing.kind !== "open") this.#body.push(...this.#pieces);
    this.#finish(this.#framing.kind === "open");
  }

  /** What is left of the bytes, or undefined where more are needed. */
  #step(bytes: Buffer): Buffer | undefined {
    if (this.#head === undefined) return this.#readHead(bytes);
    const framing = this.#framing;
    if (framing.kind === "open") {
      this.#body.push(bytes);
      return Buffer.alloc(0);
    }
    if (framing.kind === "length") {
      if (bytes.byteLength < framing.left) return this.#wait(framing.left);
      this.#body.push(bytes.subarray(0, framing.left));
      this.#finish(true);
      return bytes.subarray(framing.left);
    }
    const eol = bytes.indexOf("\r\n");
    if (eol < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", 0, eol), 16);
    const from = eol + 2;
    if (size === 0) {
      const end = bytes.indexOf("\r\n\r\n", eol);
      if (end < 0) return undefined;
      this.#finish(true);
      return bytes.subarray(end + 4);
    }
    if (bytes.byteLength < from + size + 2) return this.#wait(from + size + 2);
    this.#body.push(bytes.subarray(from, from + size));
    return bytes.subarray(from + size + 2);
  }

  #readHead(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [start = "", ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
    const headers = new Map<string, string>();
    for (const field of fields) {
      const colon = field.indexOf(":");
      headers.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
    }
    const head = { start, headers };
    this.#head = head;
    const length = headers.get("content-length");
    if (!this.#hasBody(head)) this.#framing = { kind: "length", left: 0 };
    else if (headers.has("transfer-encoding")) this.#framing = { kind: "chunked" };
    else if (length === undefined && this.#openEnded) this.#framing = { kind: "open" };
    else this.#framing = { kind: "length", left: Number(length ?? 0) };
    const rest = bytes.subarray(end + 4);
    if (this.#framing.kind !== "length" || this.#framing.left > 0) return rest;
    this.#finish(true);
    return rest;
  }

  #wait(wanted: number): undefined {
    this.#wanted = wanted;
    return undefined;
  }

  #finish(complete: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    const body = Buffer.concat(this.#body);
    this.#head = undefined;
    this.#body = [];
    this.#take({ ...head, body, complete });
  }
}
