import type { Body, Clock } from "sluice/plugin";
import {
  CHUNKED,
  encodeChunk,
  encodeLastChunk,
  encodeRequest,
  type Framing,
  NO_BODY,
  type Wire,
  WireWriter,
} from "../http1/index.ts";
import type { Call } from "./call.ts";
import { wrongLength } from "./failures.ts";

/** Whom a {@link RequestSender} tells how it went. */
export interface SenderOwner {
  /** The kernel has taken the whole request. */
  requestSent(): void;
  /** The request cannot be sent (on): its body broke off or is not what it announced, or its head is illegal. */
  requestFailed(error: unknown): void;
}

/** Up to this a body is copied behind its head for one write; above, the copy costs more than the second write. */
const ONE_WRITE = 65_536;

/** Writes the requests of one connection, one after the other, as fast as the peer takes them. */
export class RequestSender {
  /** Monotonic milliseconds since which the peer has taken nothing although it should; 0 while it does. */
  stalledSince = 0;
  readonly #writer: WireWriter;
  readonly #owner: SenderOwner;
  readonly #clock: Clock;
  #call: Call | undefined;
  /** Every byte was handed to the writer. */
  #written = true;
  /** The owner was told so. */
  #settled = true;
  #wake: (() => void) | undefined;

  constructor(wire: Wire, owner: SenderOwner, clock: Clock) {
    this.#writer = new WireWriter(wire);
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Whether the request has left entirely. */
  get finished(): boolean {
    return this.#written && !this.#writer.blocked;
  }

  /** Begins a request. @returns false where the connection was closed already: nothing was sent */
  send(call: Call): boolean {
    try {
      call.takeBody();
      return this.#begin(call, call.request.body);
    } catch (error) {
      this.#owner.requestFailed(error);
      return true;
    }
  }

  #begin(call: Call, body: Body | null): boolean {
    const { request } = call;
    const bytes = call.bytes;
    const announced = body?.length;
    const size = bytes?.byteLength ?? 0;
    if (call.whole && announced !== undefined && announced !== size) throw wrongLength(announced);
    const trailers = call.whole ? body?.trailers : undefined;
    const framing =
      body === null
        ? framingOfNone(request.method)
        : (announced ?? (call.whole && trailers === undefined ? size : CHUNKED));
    const together = size <= ONE_WRITE;
    this.#settled = false;
    const head = encodeRequest(
      {
        method: request.method,
        target: request.target,
        authority: request.authority,
        headers: request.headers,
        framing,
        connection: connectionOf(request),
      },
      together ? bytes : undefined,
    );
    if (!this.#writer.writeOnce(head)) return false;
    request.progress.sent = true;
    if (bytes !== undefined && !together) this.#write(bytes, framing);
    if (call.whole) {
      if (framing === CHUNKED) this.#writer.write(encodeLastChunk(trailers));
      this.#written = true;
      this.#settle();
      return true;
    }
    this.#call = call;
    this.#written = false;
    this.#writer.frees = call.ownsBody;
    void this.#stream(call, body as Body, framing, size);
    return true;
  }

  /** The peer switched protocols: `body` goes out as it is, and FIN behind its end. */
  async tunnel(call: Call, body: Body): Promise<void> {
    this.#call = call;
    this.#written = this.#settled = false;
    this.#writer.frees = body.own?.() === true;
    try {
      for (;;) {
        while (this.#writer.blocked && this.#call === call) await this.#unblocked();
        if (this.#call !== call) return;
        const next = body.read();
        const chunk = next instanceof Promise ? await next : next;
        if (this.#call !== call) return;
        if (chunk === null) break;
        this.#writer.write(chunk);
      }
    } catch (error) {
      if (this.#call !== call) return;
      this.stop();
      this.#owner.requestFailed(error);
      return;
    }
    this.#call = undefined;
    this.#written = true;
    this.#settle();
  }

  /** The peer takes bytes again. */
  drained(): void {
    if (!this.#writer.drained()) {
      this.stalledSince = this.#clock.monotonic();
      return;
    }
    this.stalledSince = 0;
    this.#wakeUp();
    if (this.#written) this.#settle();
  }

  /** Sends nothing more of the body. */
  stop(): void {
    this.#call = undefined;
    this.#wakeUp();
  }

  async #stream(call: Call, body: Body, framing: Framing, size: number) {
    try {
      for (let total = size; ;) {
        while (this.#writer.blocked && this.#call === call) await this.#unblocked();
        if (this.#call !== call) return;
        const next = call.pending ?? body.read();
        call.pending = undefined;
        const chunk = next instanceof Promise ? await next : next;
        if (this.#call !== call) return;
        if (chunk === null) {
          if (framing >= 0 && total !== framing) throw wrongLength(framing);
          break;
        }
        total += chunk.byteLength;
        if (framing >= 0 && total > framing) throw wrongLength(framing);
        this.#write(chunk, framing);
      }
    } catch (error) {
      if (this.#call !== call) return;
      this.stop();
      this.#owner.requestFailed(error);
      return;
    }
    if (framing === CHUNKED) this.#writer.write(encodeLastChunk(body.trailers));
    this.#call = undefined;
    this.#written = true;
    this.#settle();
  }

  #write(bytes: Uint8Array, framing: Framing): void {
    if (framing === CHUNKED) {
      this.#writer.writeOnce(encodeChunk(bytes));
      this.#writer.copied(bytes);
    } else this.#writer.write(bytes);
  }

  #unblocked(): Promise<void> {
    this.stalledSince ||= this.#clock.monotonic();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #settle(): void {
    if (this.#settled) return;
    if (this.#writer.blocked) {
      this.stalledSince ||= this.#clock.monotonic();
      return;
    }
    this.#settled = true;
    this.#writer.frees = false;
    this.#owner.requestSent();
  }
}

/** Fields that are for the next hop alone are named as such (RFC 9110 §7.6.1); `TE` is one (§10.1.4). */
function connectionOf({ headers, upgrade }: Call["request"]): string {
  const te = headers.has("te");
  if (upgrade === undefined) return te ? "te" : "";
  return te ? "upgrade, te" : "upgrade";
}

// RFC 9110 §8.6: a method that gives content a meaning says so even where there is none.
function framingOfNone(method: string): Framing {
  return method === "POST" || method === "PUT" || method === "PATCH" ? 0 : NO_BODY;
}
