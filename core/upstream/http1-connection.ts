import {
  type BodyProducer,
  BodyQueue,
  BytesBody,
  type Clock,
  type HeaderList,
  type PolledBody,
} from "sluice/plugin";
import {
  BodyDecoder,
  type BodySink,
  BunWire,
  NO_BODY,
  type ResponseHead,
  ResponseParser,
  type WireOwner,
} from "../http1/index.ts";
import type { Call, CallRunner } from "./call.ts";
import type { Dialled } from "./dial.ts";
import { abandoned, broken, malformed, openingFailed, timedOut, unsendable } from "./failures.ts";
import { RequestSender, type SenderOwner } from "./http1-sender.ts";
import { isIdempotent } from "./idempotent.ts";
import { ANSWER_LIMITS, TCP_KEEPALIVE } from "./limits.ts";
import { type Pool, type PooledConnection, PoolNotes } from "./pool.ts";

/**
 * One HTTP/1.1 connection to an upstream: a request at a time. It is used again only when nothing about it is in
 * doubt: the answer complete, the request fully sent, both sides willing, no byte that nobody asked for.
 */
export class Http1Connection
  implements PooledConnection, Dialled, CallRunner, WireOwner, BodySink, BodyProducer, SenderOwner
{
  readonly pooled = new PoolNotes();
  readonly wire: BunWire;
  idleLimit = Infinity;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #sender: RequestSender;
  readonly #parser = new ResponseParser(ANSWER_LIMITS);
  readonly #decoder = new BodyDecoder(this);
  #phase: "opening" | "idle" | "head" | "body" | "closed" = "opening";
  #call: Call | undefined;
  #queue: BodyQueue | undefined;
  /** Monotonic milliseconds at which the answer's head or its next piece is late. */
  #deadline = Infinity;
  #used = false;
  /** A byte of the answer came. */
  #heard = false;
  /** The answer is complete. */
  #answered = false;
  #keepAlive = false;
  /** No other request may follow. */
  #old = false;
  #paused = false;
  #peerEnded = false;
  /** The peer switched protocols: raw bytes both ways. */
  #tunnel = false;

  constructor(pool: Pool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
    this.wire = new BunWire(this);
    this.#sender = new RequestSender(this.wire, this, clock);
  }

  get active(): number {
    return this.#call === undefined ? 0 : 1;
  }

  get available(): boolean {
    return this.#phase === "idle";
  }

  /** It stands, and TLS with it. */
  opened(): void {
    if (this.#phase !== "opening") return;
    this.wire.socket?.setKeepAlive(true, TCP_KEEPALIVE);
    this.#phase = "idle";
    this.#pool.opened(this);
  }

  /** It came to nothing. */
  openingFailed(cause: unknown): void {
    if (this.#phase !== "opening") return;
    this.#phase = "closed";
    this.wire.destroy();
    this.#pool.failed(this, openingFailed(cause));
  }

  giveUp(): void {
    // There is nothing to close before TCP stands: the kernel goes on trying, and what succeeds late is still used.
    if (this.wire.socket === undefined) return;
    this.#discard();
  }

  start(call: Call): void {
    call.runner = this;
    call.request.progress.reused = this.#used;
    this.#used = true;
    this.#call = call;
    this.#queue = undefined;
    this.#phase = "head";
    this.#deadline = Infinity;
    this.#heard = false;
    this.#answered = false;
    if (!this.#sender.send(call)) this.#breakOff(broken(this.wire.closeError), true);
  }

  retire(): void {
    this.#old = true;
  }

  close(): void {
    this.#phase = "closed";
    this.wire.close();
  }

  sweep(now: number): void {
    if (this.#call === undefined) return;
    // Who watches over the client's side of a tunnel watches over both.
    if (this.#tunnel) return;
    if (now >= this.#deadline) {
      this.#breakOff(timedOut(this.#phase === "head" ? "first_byte" : "idle"));
      return;
    }
    const stalled = this.#sender.stalledSince;
    const idle = this.#call.request.timeouts.idle;
    if (stalled !== 0 && idle !== undefined && now - stalled >= idle) this.#breakOff(timedOut("idle"));
  }

  cancel(call: Call, reason: unknown): void {
    if (call === this.#call) this.#breakOff(abandoned(reason));
  }

  // The request on its way.

  requestSent(): void {
    if (this.#call !== undefined) this.#call.request.progress.finished = true;
    if (this.#tunnel) {
      this.wire.end();
      if (this.#answered) this.#endTunnel();
    } else if (this.#phase === "head") this.#await(this.#call?.request.timeouts.firstByte);
  }

  requestFailed(error: unknown): void {
    this.#breakOff(unsendable(error));
  }

  drained(): void {
    this.#sender.drained();
  }

  // The answer on its way.

  data(chunk: Uint8Array): void {
    if (this.#phase === "idle") this.#discard();
    if (this.#phase === "opening" || this.#phase === "closed") return;
    this.#heard = true;
    let at: number;
    try {
      at = this.#read(chunk);
    } catch (error) {
      this.#breakOff(malformed(error instanceof Error ? error.message : "unreadable", error));
      return;
    }
    if (this.#answered) this.#finish(at === chunk.byteLength);
    else if (this.#phase === "body" && !this.#paused && !this.#tunnel)
      this.#await(this.#call?.request.timeouts.idle);
  }

  bodyChunk(bytes: Uint8Array): void {
    this.#queue?.push(bytes);
  }

  bodyEnd(trailers: HeaderList | undefined): void {
    this.#answered = true;
    this.#queue?.end(trailers);
  }

  pause(): void {
    this.#paused = true;
    // The wait is the reader's now, not the upstream's.
    this.#deadline = Infinity;
    this.wire.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#phase === "body" && !this.#tunnel) this.#await(this.#call?.request.timeouts.idle);
    this.wire.resume();
  }

  cancelled(reason: unknown): void {
    this.#breakOff(abandoned(reason));
  }

  ended(): void {
    this.#peerEnded = true;
    if (this.#phase === "idle") {
      this.close();
      this.#pool.closed(this);
    } else if (this.#phase === "body" && this.#decoder.finish()) {
      if (!this.#tunnel) this.#finish(true);
      else if (this.#sender.finished) this.#endTunnel();
    } else this.closed();
  }

  closed(): void {
    if (this.#phase === "closed") return;
    if (this.#phase === "opening") this.openingFailed(this.wire.closeError);
    else if (this.#phase === "idle") this.#discard();
    // Both directions had ended.
    else if (this.#tunnel && this.#answered && this.#sender.finished) this.#endTunnel();
    else this.#breakOff(broken(this.wire.closeError), !this.#heard);
  }

  /** @returns the index of the first byte that is not the answer's */
  #read(chunk: Uint8Array): number {
    let at = 0;
    while (this.#phase === "head") {
      if (at >= chunk.byteLength) return at;
      const { method, upgrade } = this.#call!.request;
      const head = this.#parser.parse(chunk, at, method, upgrade?.protocol);
      if (head === undefined) return chunk.byteLength;
      at = this.#parser.next;
      if (head.status < 200 && head.status !== 101) this.#inform(head);
      else at = this.#begin(head, chunk, at);
    }
    if (this.#phase === "body" && !this.#answered && at < chunk.byteLength)
      at = this.#decoder.push(chunk, at);
    return at;
  }

  #inform(head: ResponseHead): void {
    // Nobody waits for `100 Continue`: the gateway has met the client's expectation itself.
    if (head.status !== 100) this.#call!.request.onInform(head.status, head.headers);
  }

  /** Takes the final head; `at` is where its body begins in `chunk`. @returns where that was read to */
  #begin(head: ResponseHead, chunk: Uint8Array, at: number): number {
    this.#phase = "body";
    this.#keepAlive = head.keepAlive;
    this.#deadline = Infinity;
    // RFC 9112 §9.3 leaves the rest of the body unread after such an answer; sending it would only provoke a reset.
    const refused = head.status >= 400 && !head.keepAlive;
    if (refused && !this.#sender.finished) this.#stopSending();
    const { framing, status, headers } = head;
    let body: PolledBody | null = null;
    let read = at;
    const call = this.#call!;
    if (status === 101 && call.request.upgrade !== undefined) {
      this.#tunnel = true;
      void this.#sender.tunnel(call, call.request.upgrade.body);
    }
    if (framing === NO_BODY) this.#answered = true;
    else if (framing >= 0 && chunk.byteLength - at >= framing) {
      // The usual case: the whole body came with its head.
      read = at + framing;
      body = new BytesBody(chunk, undefined, at, read);
      this.#answered = true;
    } else {
      body = this.#queue = new BodyQueue(this, framing >= 0 ? framing : undefined);
      this.#decoder.start(framing);
    }
    this.idleLimit = keepAliveHint(headers);
    this.#call!.succeed({ status, headers, body });
    return read;
  }

  /** Both directions of a tunnel have ended. */
  #endTunnel(): void {
    this.#call?.finish();
    this.#call = undefined;
    this.close();
    this.#pool.closed(this);
  }

  /** The answer is complete; `clean` says that nothing came behind it. */
  #finish(clean: boolean): void {
    const sent = this.#sender.finished;
    if (!sent) this.#stopSending();
    this.#call?.finish();
    this.#call = undefined;
    this.#deadline = Infinity;
    if (!clean || !sent) this.#discard();
    else if (!this.#keepAlive || this.#old || this.#peerEnded) {
      this.close();
      this.#pool.closed(this);
    } else {
      if (this.#paused) {
        this.#paused = false;
        this.wire.resume();
      }
      this.#phase = "idle";
      this.#pool.freed(this);
    }
  }

  /** The rest of the request's body is not wanted any more. */
  #stopSending(): void {
    this.#sender.stop();
    this.#call?.request.body?.cancel();
  }

  /** The request under way fails with `error`; `stale`: unless the connection may have been dead before. */
  #breakOff(error: unknown, stale = false): void {
    if (this.#phase === "closed") return;
    const call = this.#call;
    this.#call = undefined;
    this.#sender.stop();
    this.#discard();
    if (call === undefined) return;
    if (this.#tunnel) call.request.upgrade?.body.cancel(error);
    if (this.#queue !== undefined) {
      call.finish();
      this.#queue.fail(error);
      return;
    }
    if (stale && this.#repeatable(call) && this.#pool.retry(call)) return;
    call.fail(error);
  }

  /** RFC 9110 §9.2.2: what may be sent again without asking anybody. */
  #repeatable(call: Call): boolean {
    const { progress, method, once } = call.request;
    if (!call.replayable) return false;
    return !progress.sent || (once !== true && progress.reused && isIdempotent(method));
  }

  #discard(): void {
    this.#phase = "closed";
    this.wire.destroy();
    this.#pool.closed(this);
  }

  #await(timeout: number | undefined): void {
    this.#deadline = timeout === undefined ? Infinity : this.#clock.monotonic() + timeout;
  }
}

/** What `Keep-Alive: timeout=5` leaves of use, in milliseconds: a margin before the peer closes (RFC 2068 §19.7.1). */
function keepAliveHint(headers: HeaderList): number {
  const value = headers.get("keep-alive");
  if (value === undefined) return Infinity;
  const seconds = Number(/timeout=(\d{1,6})/i.exec(value)?.[1] ?? Infinity);
  return seconds > 2 ? (seconds - 1) * 1_000 : seconds * 500;
}
