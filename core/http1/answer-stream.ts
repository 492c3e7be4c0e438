import { type Body, SluiceError } from "sluice/plugin";
import { chunkHead, encodeLastChunk, gather } from "./encoder.ts";
import { CHUNKED, type Framing } from "./framing.ts";
import type { WireWriter } from "./wire-writer.ts";

// What is at hand is gathered up to this for one write: a copy costs less than a system call.
const GATHER = 65_536;

/** The body threw, which ended the answer. */
const BROKEN = Symbol("broken");

/** What of a body comes next; undefined where it is to be waited for. */
type Next = Uint8Array | null | Promise<Uint8Array | null> | undefined | typeof BROKEN;

/** Whom an {@link AnswerStream} tells how it ended; one of the three is called, once. */
export interface AnswerOwner {
  /** Every byte was taken by the kernel. */
  answerSent(bytes: number): void;
  /** The body failed or is not as long as announced: the client must see a broken answer. */
  answerBroken(error: unknown, bytes: number): void;
  /** The wire is closed already: the stream is to be abandoned. */
  wireLost(): void;
}

/** An answer's body on its way to the wire: pulled chunk by chunk, only as fast as the wire takes it. */
export class AnswerStream {
  /** Body bytes handed to the wire. */
  bytes = 0;
  readonly #owner: AnswerOwner;
  readonly #writer: WireWriter;
  readonly #body: Body;
  readonly #framing: Framing;
  readonly #out: (string | Uint8Array)[] = [];
  #outBytes = 0;
  #state: "reading" | "blocked" | "ended" | "over" = "reading";
  // Made when they are needed: most bodies need none, or the one.
  #ready: (() => void) | undefined;
  #arrived: ((chunk: Uint8Array | null) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  /** @param framing a length, `CHUNKED` or `UNTIL_CLOSE` */
  constructor(owner: AnswerOwner, writer: WireWriter, body: Body, framing: Framing) {
    this.#owner = owner;
    this.#writer = writer;
    this.#body = body;
    this.#framing = framing;
  }

  /** True when the body is complete and only the kernel holds the answer up. */
  get ended(): boolean {
    return this.#state === "ended";
  }

  /** Writes `head`, together with what of the body is at hand. */
  start(head: Uint8Array): void {
    this.#writer.frees = this.#body.own?.() === true;
    this.#add(head);
    this.#run(this.#read());
  }

  /** The wire takes bytes again, and nothing waits for it any more. */
  drained(): void {
    if (this.#state === "ended") {
      this.#finish();
    } else if (this.#state === "blocked") {
      this.#state = "reading";
      this.#run(this.#read());
    }
  }

  /** The client left: the body is cancelled, nothing more is written or told. */
  abandon(reason: unknown): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#out.length = 0;
    this.#body.cancel(reason);
  }

  #run(next: Next): void {
    while (next !== BROKEN) {
      if (next === null) {
        this.#end();
        return;
      }
      // Nothing is held back: what is there leaves before the wait.
      if (next instanceof Promise) {
        this.#await(next);
        this.#flush();
        return;
      }
      if (next === undefined) {
        if (this.#flush()) this.#wait();
        return;
      }
      if (!this.#take(next)) return;
      if (this.#outBytes >= GATHER && !this.#flush()) return;
      if (this.#writer.blocked) {
        this.#state = "blocked";
        return;
      }
      next = this.#read();
    }
  }

  #read(): Next {
    const body = this.#body;
    try {
      return body.poll === undefined ? body.read() : body.poll();
    } catch (error) {
      this.#bodyFailed(error);
      return BROKEN;
    }
  }

  #bodyFailed(error: unknown): void {
    // RFC 9112 §6.3: with the last byte that Content-Length announced the message is complete.
    if (this.bytes === this.#framing) this.#end();
    else this.#break(error);
  }

  #wait(): void {
    this.#body.wait?.((this.#ready ??= this.#waker()));
  }

  // Apart: a function that makes a closure makes a scope for it whenever it is called.
  #waker(): () => void {
    return () => {
      if (this.#state === "reading") this.#run(this.#read());
    };
  }

  #await(next: Promise<Uint8Array | null>): void {
    this.#arrived ??= (chunk) => {
      if (this.#state === "reading") this.#run(chunk);
    };
    this.#failed ??= (error) => {
      if (this.#state !== "over") this.#bodyFailed(error);
    };
    next.then(this.#arrived, this.#failed);
  }

  #take(chunk: Uint8Array): boolean {
    const length = chunk.byteLength;
    if (length === 0) return true;
    if (this.#framing >= 0 && this.bytes + length > this.#framing) {
      this.#break(wrongLength(this.#framing));
      return false;
    }
    this.bytes += length;
    if (this.#framing === CHUNKED) {
      this.#add(chunkHead(length));
      this.#add(chunk);
      this.#add("\r\n");
    } else {
      this.#add(chunk);
    }
    return true;
  }

  #end(): void {
    if (this.#framing >= 0 && this.bytes !== this.#framing) {
      this.#break(wrongLength(this.#framing));
      return;
    }
    if (this.#framing === CHUNKED) this.#add(encodeLastChunk(this.#body.trailers));
    if (!this.#flush()) return;
    this.#state = "ended";
    if (!this.#writer.blocked) this.#finish();
  }

  #finish(): void {
    this.#state = "over";
    this.#writer.frees = false;
    this.#owner.answerSent(this.bytes);
  }

  #break(error: unknown): void {
    if (!this.#flush()) return;
    this.#state = "over";
    this.#body.cancel(error);
    this.#owner.answerBroken(error, this.bytes);
  }

  #add(piece: string | Uint8Array): void {
    this.#out.push(piece);
    this.#outBytes += typeof piece === "string" ? piece.length : piece.byteLength;
  }

  /** False when the wire turned out to be closed, which ended the stream. */
  #flush(): boolean {
    const out = this.#out;
    if (out.length > 0) {
      const together = out.length > 1 ? gather(out, this.#outBytes) : undefined;
      if (together !== undefined) {
        this.#writer.writeOnce(together);
        for (const piece of out) if (typeof piece !== "string") this.#writer.copied(piece);
      } else
        for (const piece of out)
          this.#writer.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
      out.length = 0;
      this.#outBytes = 0;
    }
    if (!this.#writer.closed) return true;
    this.#owner.wireLost();
    return false;
  }
}

/** The body is longer or shorter than its head says. */
export function wrongLength(announced: number): SluiceError {
  return new SluiceError("internal", `the answer's body is not the ${announced} bytes that were announced`, {
    reason: "answer_length",
  });
}
