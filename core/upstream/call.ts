import type { Body } from "sluice/plugin";
import { OutBuffer } from "../http2/index.ts";
import type { Cancellable, OutboundRequest, UpstreamAnswer } from "./transport.ts";

/** Who holds a call at the moment and can let go of it. */
export interface CallRunner {
  /** The request was given up: free what it holds and fail it. */
  cancel(call: Call, reason: unknown): void;
}

/** Bytes of a request body that are taken in before its first write, or kept behind it, for another try. */
const HEAD_START = 65_536;

/** One request's way through a pool: from the caller to a connection, perhaps a second one, and back. */
export class Call implements Cancellable {
  readonly request: OutboundRequest;
  runner: CallRunner;
  /** How often it was put on another connection. */
  retries = 0;
  /** Connections that came to stand before this one (a serial of the pool) are under suspicion. */
  minSerial = 0;
  /** Monotonic milliseconds until which it waits for a connection. */
  waitDeadline = Infinity;

  /** What of the body was at hand; undefined where nothing was. */
  bytes: Uint8Array | undefined;
  /** There is no body, or all of it is in `bytes`. */
  whole: boolean;
  /** A read of the body that is under way. */
  pending: Promise<Uint8Array | null> | undefined;
  /** What `took` was told of, while it is little. */
  #kept: OutBuffer | undefined;
  /** More was sent than is kept. */
  #lost = false;
  /** The body's end was read. */
  #ended = false;
  #taken: boolean;
  #owned: boolean | undefined;

  // Let go of when it is decided: a call lives as long as its answer's body.
  #resolve: ((answer: UpstreamAnswer) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  #over = false;

  constructor(
    request: OutboundRequest,
    runner: CallRunner,
    resolve: (answer: UpstreamAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.request = request;
    this.runner = runner;
    this.whole = request.body === null;
    this.#taken = this.whole;
    this.#resolve = resolve;
    this.#reject = reject;
    // It may be given up at once: then the call is over before it began.
    request.onCancel(this);
  }

  /** The request was given up. */
  cancelled(reason: unknown): void {
    if (!this.#over) this.runner.cancel(this, reason);
  }

  /** True once it failed or its answer is complete: nobody may work on it any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether it can be sent once more from the start. */
  get replayable(): boolean {
    return this.whole || !this.#taken;
  }

  /** Whether the body's bytes are nobody else's; see `Body.own`. */
  get ownsBody(): boolean {
    this.#owned ??= this.request.body?.own?.() === true;
    return this.#owned;
  }

  /** Takes in what of the body can be had without waiting. @throws what the body's `read` throws */
  takeBody(): void {
    if (this.#taken) return;
    this.#taken = true;
    const body = this.request.body as Body;
    this.#owned = body.own?.() === true;
    for (let total = 0; total < HEAD_START;) {
      const next = body.read();
      if (next instanceof Promise) {
        this.pending = next;
        // Whoever sends the body awaits it; until then a rejection is not unheard.
        next.catch(ignore);
        return;
      }
      if (next === null) {
        this.whole = true;
        return;
      }
      this.bytes = this.bytes === undefined ? next : Buffer.concat([this.bytes, next]);
      total += next.byteLength;
    }
  }

  /** The next of the body behind `bytes`; null at the end. Who goes on with what it answered says so with `took`. */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    if (this.whole || this.#ended) return null;
    const next = this.pending ?? (this.request.body as Body).read();
    if (next instanceof Promise) this.pending = next;
    return next;
  }

  /** What `read` answered is about to be sent. As long as that is little it is kept, for `rewind`. */
  took(chunk: Uint8Array | null): void {
    this.pending = undefined;
    if (chunk === null) {
      this.#ended = true;
      return;
    }
    if (this.#lost) return;
    const before = (this.bytes?.byteLength ?? 0) + (this.#kept?.end ?? 0);
    if (before + chunk.byteLength > HEAD_START) this.#lose();
    // A copy: the chunk's own memory may be freed, or be a small part of something large.
    else (this.#kept ??= new OutBuffer(chunk.byteLength)).append(chunk);
  }

  /** Goes back to the first byte of the body, to send the request once more. @returns false where that is gone */
  rewind(): boolean {
    if (this.whole || !this.#taken) return true;
    if (!this.#lost) {
      const kept = this.#kept?.bytes.subarray(0, this.#kept.end);
      if (kept !== undefined) this.bytes = Buffer.concat([this.bytes ?? NOTHING, kept]);
      this.#kept = undefined;
      this.whole = this.#ended;
      return true;
    }
    if (this.pending !== undefined || this.request.body?.rewind?.() !== true) return false;
    this.bytes = undefined;
    this.#taken = this.#lost = this.#ended = false;
    return true;
  }

  /** The answer's head is here; its body may go on. */
  succeed(answer: UpstreamAnswer): void {
    this.#lose();
    const resolve = this.#resolve;
    this.#resolve = this.#reject = undefined;
    resolve?.(answer);
  }

  /** The request failed. Does nothing for the caller once `succeed` was called. */
  fail(error: unknown): void {
    this.finish();
    const reject = this.#reject;
    this.#resolve = this.#reject = undefined;
    reject?.(error);
  }

  /** Nothing more will happen to it: cancelling it has no meaning from here. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.request.offCancel();
  }

  /** There is no way back to the body's first byte, unless the body itself has one. */
  #lose(): void {
    this.#lost = true;
    this.#kept = undefined;
  }
}

const NOTHING = new Uint8Array(0);

function ignore(): void {}
