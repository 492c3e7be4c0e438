import { type Body, type HeaderList, SluiceError } from "sluice/plugin";
import type { RequestRecord } from "./types.ts";

/** Bytes of a request body that a plugin may read through Fetch and the upstream still gets. */
export const REPLAY_LIMIT = 8 * 1024 * 1024;

type Chunk = Uint8Array | null;

/**
 * A client's body, counted as it is read. A plugin may read it as well (`c.req.json()`): what it took is kept,
 * up to a limit, and goes upstream after all. Beyond the limit the plugin reads on and nothing is kept: it may
 * answer the request itself, but the body cannot be forwarded any more.
 */
export class RequestBody implements Body {
  readonly length: number | undefined;
  readonly #source: Body;
  readonly #record: RequestRecord | undefined;
  readonly #limit: number;
  /** What was read for a plugin, from the first byte on. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** How many of the kept chunks went upstream. */
  #at = 0;
  #ended = false;
  #forwarding = false;
  /** Who got bytes that cannot be had again. */
  #lostTo: "nobody" | "a plugin" | "an upstream" = "nobody";
  /** A read for a plugin that is under way: a source is read by one at a time. */
  #tapping: Promise<Chunk> | undefined;

  /** @param record where the bytes are counted. */
  constructor(source: Body, record: RequestRecord | undefined, limit = REPLAY_LIMIT) {
    this.length = source.length;
    this.#source = source;
    this.#record = record;
    this.#limit = limit;
  }

  get trailers(): HeaderList | undefined {
    return this.#source.trailers;
  }

  own(): boolean {
    // What a plugin has looked at is kept, and may be read once more.
    const untouched = this.#kept.length === 0 && this.#tapping === undefined && this.#lostTo === "nobody";
    return untouched && this.#source.own?.() === true;
  }

  read(): Chunk | Promise<Chunk> {
    this.#forwarding = true;
    if (this.#tapping !== undefined) return this.#tapping.then(() => this.read());
    if (this.#lostTo === "a plugin") throw tooLargeToKeep(this.#limit);
    if (this.#at < this.#kept.length) return this.#kept[this.#at++]!;
    if (this.#ended) return null;
    const next = this.#source.read();
    if (!(next instanceof Promise)) return this.#forward(next);
    // A try that is given up while this is under way takes the chunk with it.
    this.#lostTo = "an upstream";
    return next.then((chunk) => this.#forward(chunk));
  }

  rewind(): boolean {
    if (this.#lostTo !== "nobody") return false;
    this.#at = 0;
    this.#forwarding = false;
    return true;
  }

  cancel(reason?: unknown): void {
    this.#at = this.#kept.length;
    if (this.#ended) return;
    if (this.#lostTo === "nobody") this.#lostTo = "an upstream";
    this.#source.cancel(reason);
  }

  /** The body for a plugin to read, from its first byte; the same bytes go upstream later. */
  tap(): Body {
    let at = 0;
    return {
      length: this.length,
      trailers: undefined,
      read: () => (at < this.#kept.length ? this.#kept[at++]! : this.#readForPlugin(() => at++)),
      // The plugin has lost interest; the upstream has not.
      cancel: ignore,
    };
  }

  #readForPlugin(took: () => void): Chunk | Promise<Chunk> {
    if (this.#forwarding) throw new TypeError("the request body is on its way upstream already");
    if (this.#ended) return null;
    took();
    const next = this.#source.read();
    if (!(next instanceof Promise)) return this.#keep(next);
    this.#tapping = next.then(
      (chunk) => this.#keep(chunk),
      (error: unknown) => {
        this.#tapping = undefined;
        throw error;
      },
    );
    return this.#tapping;
  }

  #keep(chunk: Chunk): Chunk {
    this.#tapping = undefined;
    this.#count(chunk);
    if (chunk === null || this.#lostTo !== "nobody") return chunk;
    this.#keptBytes += chunk.byteLength;
    if (this.#keptBytes <= this.#limit) {
      this.#kept.push(chunk);
    } else {
      this.#kept = [];
      this.#lostTo = "a plugin";
    }
    return chunk;
  }

  #forward(chunk: Chunk): Chunk {
    this.#count(chunk);
    if (chunk !== null) this.#lostTo = "an upstream";
    return chunk;
  }

  #count(chunk: Chunk): void {
    if (chunk === null) this.#ended = true;
    else if (this.#record !== undefined) this.#record.bytesIn += chunk.byteLength;
  }
}

function tooLargeToKeep(limit: number): SluiceError {
  return new SluiceError(
    "payload_too_large",
    `The body is longer than the ${limit} bytes that a plugin may read before it is forwarded.`,
    { reason: "body_not_kept" },
  );
}

function ignore(): void {}
