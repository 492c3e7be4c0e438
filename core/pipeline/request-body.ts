import { type Body, ERROR_CODES, type HeaderList, SluiceError } from "sluice/plugin";
import { KeptBytes } from "./kept-bytes.ts";

type Chunk = Uint8Array | null;

/** What a body must know of the request that it belongs to. */
export interface Passage {
  readonly request: { readonly body: Body | null };
  readonly record: { bytesIn: number };
  /** Bytes of a body that a plugin may read and the upstream still gets: `limits.buffered_body`. */
  readonly bufferedBody: number;
  /** The request is on its way to an upstream, or nobody will send it any more: what is read from now on is passed on. */
  readonly departed: boolean;
  /** A plugin waits for the body's next chunk. Answers what to call when that is over. */
  waitsForClient(): () => void;
}

/** How far somebody has read, bytes. */
interface Place {
  at: number;
}

/**
 * A request's body, counted as it is read. Before the request departs, a plugin may read it, through Fetch
 * (`c.req.json()`) or as it is (`collect(exchange.request.body)`): what it took is kept, up to a limit, and goes upstream
 * after all. At the limit the plugin's read fails, and the body may be forwarded still. What is read once the request has
 * departed, or once another body stands in the place of this one, goes through and is not kept.
 */
export class RequestBody implements Body {
  readonly length: number | undefined;
  readonly #source: Body;
  readonly #passage: Passage;
  readonly #counted: boolean;
  /** What was read for a plugin. */
  #kept: KeptBytes | undefined;
  /** Where the piece begins that exceeds the limit: it is there for the upstream alone. */
  #limitAt = Number.POSITIVE_INFINITY;
  /** Bytes before the kept ones, which cannot be had again. */
  #gone = 0;
  /** Whether there is no way back to the first byte. */
  #lost = false;
  /** How far the upstream is. */
  #at = 0;
  /** How far a plugin is that reads the body as it is. */
  #looked: Place | undefined;
  #ended = false;
  /** Whether its bytes go upstream as they are read. */
  #passing = false;
  /** A read for a plugin that is under way: a source is read by one at a time. */
  #pending: Promise<Chunk> | undefined;

  /** @param counted whether its bytes are the client's. */
  constructor(source: Body, passage: Passage, counted: boolean) {
    this.length = source.length;
    this.#source = source;
    this.#passage = passage;
    this.#counted = counted;
  }

  get trailers(): HeaderList | undefined {
    return this.#source.trailers;
  }

  own(): boolean {
    // What a plugin has looked at is kept, and may be read once more.
    const untouched = this.#kept === undefined && this.#pending === undefined;
    return untouched && !this.#isKept && this.#source.own?.() === true;
  }

  read(): Chunk | Promise<Chunk> {
    if (this.#isKept) return this.#look((this.#looked ??= { at: 0 }));
    this.#passing = true;
    if (this.#pending !== undefined) return this.#pending.then(() => this.read());
    if (this.#at < this.#gone) throw lost();
    const kept = this.#kept?.from(this.#at - this.#gone);
    if (kept !== undefined) {
      this.#at += kept.byteLength;
      return kept;
    }
    if (this.#ended) return null;
    const next = this.#source.read();
    if (!(next instanceof Promise)) return this.#passed(next);
    // A try that is given up while this is under way takes the chunk with it.
    this.#lose();
    if (this.#passage.departed) return next.then((chunk) => this.#passed(chunk));
    // A step has taken the body for itself.
    const resumed = this.#passage.waitsForClient();
    return next.then((chunk) => this.#passed(chunk)).finally(resumed);
  }

  rewind(): boolean {
    if (this.#lost) return false;
    this.#at = 0;
    this.#passing = false;
    this.lookAgain();
    return true;
  }

  /** Another plugin's turn: it finds the body at its first byte, whatever the one before has read. */
  lookAgain(): void {
    this.#looked = undefined;
  }

  cancel(reason?: unknown): void {
    // Who reads it as it is before it departs has lost interest; the upstream has not.
    if (this.#isKept) return;
    this.#at = this.#end;
    if (this.#ended) return;
    this.#lose();
    this.#source.cancel(reason);
  }

  /** The body for a plugin to read, from its first byte; the same bytes go upstream later. */
  tap(): Body {
    const place = { at: 0 };
    return {
      length: this.length,
      trailers: undefined,
      read: () => this.#look(place),
      // As above.
      cancel: ignore,
    };
  }

  /** Whether what is read now is kept. */
  get #isKept(): boolean {
    return !this.#passage.departed && this.#passage.request.body === this;
  }

  /** How many bytes the source has given. */
  get #end(): number {
    return this.#gone + (this.#kept?.length ?? 0);
  }

  /** The next bytes for a plugin that has come to `place`. */
  #look(place: Place): Chunk | Promise<Chunk> {
    if (place.at < this.#gone) throw lost();
    const strict = this.#isKept;
    if (strict && place.at >= this.#limitAt) throw this.#tooLong();
    const kept = this.#kept?.from(place.at - this.#gone);
    if (kept !== undefined) {
      place.at += kept.byteLength;
      return kept;
    }
    if (this.#passing) throw new TypeError("the request body is on its way upstream already");
    if (this.#ended) return null;
    if (this.#pending !== undefined) return this.#pending.then(() => this.#look(place));
    const next = this.#source.read();
    if (!(next instanceof Promise)) return this.#taken(next, strict, place);
    const resumed = this.#passage.departed ? ignore : this.#passage.waitsForClient();
    const pending = next.then(
      (chunk) => {
        this.#pending = undefined;
        resumed();
        return this.#taken(chunk, strict, place);
      },
      (error: unknown) => {
        this.#pending = undefined;
        resumed();
        throw error;
      },
    );
    // Whoever waits for it to be over reads for himself then, and finds what is wrong.
    this.#pending = pending.catch(nothing);
    return pending;
  }

  /** @param strict whether nothing may be given that is not kept. */
  #taken(chunk: Chunk, strict: boolean, place: Place): Chunk {
    this.#count(chunk);
    if (chunk === null) return null;
    const fits = this.#end + chunk.byteLength <= this.#passage.bufferedBody;
    if (strict && !fits) this.#limitAt = this.#end;
    if (this.#lost || !(fits || strict)) {
      this.#lose();
      this.#gone += chunk.byteLength;
    } else {
      (this.#kept ??= new KeptBytes()).add(chunk);
    }
    if (strict && !fits) throw this.#tooLong();
    place.at += chunk.byteLength;
    return chunk;
  }

  #passed(chunk: Chunk): Chunk {
    this.#count(chunk);
    if (chunk !== null) {
      this.#lose();
      this.#gone += chunk.byteLength;
      this.#at = this.#gone;
    } else if (this.#gone === 0) this.#lost = false;
    return chunk;
  }

  /** The next chunk goes to somebody who does not keep it, so that there is no way back. */
  #lose(): void {
    this.#lost = true;
    this.#gone = this.#at = this.#end;
    this.#kept = undefined;
  }

  #count(chunk: Chunk): void {
    if (chunk === null) this.#ended = true;
    else if (this.#counted) this.#passage.record.bytesIn += chunk.byteLength;
  }

  #tooLong(): SluiceError {
    const { bufferedBody } = this.#passage;
    return new SluiceError(
      "payload_too_large",
      `The body is longer than the ${bufferedBody} bytes that are read before it is forwarded.`,
      { reason: "limits.buffered_body" },
    );
  }
}

function lost(): SluiceError {
  return new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, {
    reason: "body_not_kept",
    cause: new Error("the request body is read again from its first byte, and was not kept"),
  });
}

function ignore(): void {}

function nothing(): null {
  return null;
}
