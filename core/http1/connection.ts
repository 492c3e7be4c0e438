import { type Body, BytesBody, type ConnectionFacts, ERROR_CODES, type HeaderList } from "sluice/plugin";
import type { SluiceError } from "sluice/plugin";
import type { Sent } from "../listener/inbound.ts";
import { AnswerSender, type AnswerSenderOwner } from "./answer-sender.ts";
import type { Limits } from "../../config/types.ts";
import type { ConnectionHost } from "./connection-host.ts";
import type { Sweepable } from "./deadlines.ts";
import { bodyTooSlow, clientGone, clientStalled, cutOff, tunnelIdle } from "./departures.ts";
import { copyOf, encodeResponse } from "./encoder.ts";
import { Ending } from "./ending.ts";
import { NO_BODY } from "./framing.ts";
import { HeldBytes } from "./held-bytes.ts";
import { Http1Inbound, type Responder } from "./http1-inbound.ts";
import { MessageError } from "./message-error.ts";
import type { RequestHead } from "./message-head.ts";
import { BY_BODY, BY_PIPELINE, BY_WASTE, Reading } from "./reading.ts";
import { refusalOf, type RequestFacts } from "./refusal.ts";
import { RequestBody, type RequestBodyOwner } from "./request-body.ts";
import { RequestParser } from "./request-parser.ts";
import { Tunnel, type TunnelOwner } from "./tunnel.ts";
import type { Wire, WireOwner } from "./wire.ts";
import { WireWriter } from "./wire-writer.ts";

const NOTHING = new Uint8Array(0);

/**
 * How long a connection has for one more request while the server drains: closing at once would lose what is on its
 * way (RFC 9112 §9.5), and whoever is answered learns with it that the connection ends.
 */
const LATE_TIME = 1_000;

const OPEN = 0;
/** 101 was answered: the tunnel has the bytes. */
const TUNNEL = 1;
/** The last answer was written, or there is none: see {@link Ending}. */
const ENDING = 2;
const CLOSED = 3;

/** One HTTP/1.1 connection of a client: requests one at a time, in order. */
export class Http1Connection
  implements WireOwner, RequestBodyOwner, AnswerSenderOwner, TunnelOwner, Responder, Sweepable
{
  readonly facts: ConnectionFacts;
  readonly #host: ConnectionHost<Http1Connection>;
  readonly #wire: Wire;
  readonly #reading: Reading;
  readonly #writer: WireWriter;
  readonly #parser: RequestParser;
  readonly #answers: AnswerSender;
  readonly #ending: Ending;
  #limits: Limits;
  #mode = OPEN;
  /** Whether the connection ends with the answer under way. */
  #last = false;
  /** What comes in has no meaning any more: a body broke off. */
  #deaf = false;
  #processing = false;
  /** Monotonic milliseconds at which the client has been silent, or has not read, for too long; 0 for never. */
  #readBy = 0;
  #writeBy = 0;
  /** The request under way: from its head to the end of its answer. */
  #inbound: Http1Inbound | undefined;
  /** Made for the first body. */
  #body: RequestBody | undefined;
  /** Made for the first bytes that come too early. */
  #held: HeldBytes | undefined;
  /** Set with an upgrade that is offered or under way. */
  #tunnel: Tunnel | undefined;

  constructor(host: ConnectionHost<Http1Connection>, wire: Wire, facts: ConnectionFacts) {
    this.#host = host;
    this.#wire = wire;
    this.facts = facts;
    this.#limits = host.limits();
    this.#reading = new Reading(wire);
    this.#writer = new WireWriter(wire);
    this.#parser = new RequestParser(this.#limits);
    this.#answers = new AnswerSender(this, this.#writer, host.clock, host.date);
    this.#ending = new Ending(wire, this.#writer, this.#reading, host.clock);
    this.#readBy = this.#now() + (host.draining ? LATE_TIME : this.#limits.idleTimeout);
  }

  // What the wire tells.

  data(chunk: Uint8Array): void {
    if (this.#mode === TUNNEL) this.#tunnel?.data(chunk);
    else if (this.#mode !== OPEN || this.#deaf) this.#ending.waste(chunk.byteLength);
    else if (this.#held === undefined || this.#held.empty) this.#process(chunk);
    else this.#held.push(chunk);
  }

  drained(): void {
    this.#writeBy = 0;
    const drained = this.#writer.drained();
    if (this.#mode === TUNNEL) this.#tunnel?.drained(drained);
    else if (!drained) return;
    else if (this.#mode === ENDING) this.#ending.drained();
    else this.#answers.drained();
  }

  ended(): void {
    this.#ending.peerEnded();
    if (this.#mode === TUNNEL) {
      this.#tunnel?.ended();
    } else if (this.#mode === OPEN) {
      if (this.#inbound === undefined) this.#close();
      // An answer that waits for the kernel only is still delivered.
      else if (this.#answers.flushing) this.#last = true;
      else this.#leave(clientGone());
    }
  }

  closed(): void {
    if (this.#inbound === undefined) this.#release();
    else this.#leave(clientGone());
  }

  // What the server and its timer tell.

  /** Closes now, whatever is under way. */
  destroy(): void {
    this.#leave(cutOff());
  }

  /** `ConnectionHost.draining` turned true: closes soon if there is nothing to do. */
  drain(): void {
    if (this.#mode !== OPEN || this.#inbound !== undefined || this.#parser.started) return;
    // The rest of a body whose request was answered: a reset would overtake the answer.
    if (this.#body?.incoming) this.#shutDown();
    else this.#readBy = Math.min(this.#readBy, this.#now() + LATE_TIME);
  }

  sweep(now: number): void {
    if (this.#mode === TUNNEL) {
      if (this.#tunnel?.sweep(now, this.#limits.tunnelTimeout) === true) this.#leave(tunnelIdle());
      return;
    }
    if (this.#mode === ENDING) {
      if (this.#ending.sweep(now)) {
        this.#release();
        this.#wire.destroy();
      }
    } else if (this.#readBy !== 0 && now >= this.#readBy) {
      this.#readTimedOut();
    }
    if (!this.#writer.blocked) return;
    // The client reads too slowly for the kernel to take a single byte.
    if (this.#writeBy === 0) this.#writeBy = now + this.#limits.idleTimeout;
    else if (now >= this.#writeBy) this.#leave(clientStalled());
  }

  #readTimedOut(): void {
    this.#readBy = 0;
    if (this.#inbound !== undefined) {
      this.#body?.fail(bodyTooSlow());
    } else if (this.#parser.started) {
      this.#refuse(new MessageError("request_timeout", "timeout.head", "the request's head came too slowly"));
    } else {
      this.#close();
    }
  }

  // Requests in.

  #process(chunk: Uint8Array): void {
    const end = chunk.byteLength;
    let at = 0;
    this.#processing = true;
    while (at < end && this.#mode === OPEN && !this.#deaf) {
      if (this.#body?.incoming) {
        at = this.#body.read(chunk, at);
      } else if (this.#inbound === undefined) {
        at = this.#readHead(chunk, at);
      } else {
        this.#held ??= new HeldBytes(this.#reading);
        this.#held.unshift(chunk.subarray(at));
        break;
      }
    }
    this.#processing = false;
    // The head was that of an upgrade, which was answered at once.
    if (this.#mode === TUNNEL) this.#tunnel?.begin(chunk.subarray(at), this.#held);
  }

  /** Goes on with what was held back while an answer was on its way. */
  #advance(): void {
    const held = this.#held;
    if (held === undefined) return;
    // A request's body may lie in several pieces behind its head.
    while (this.#mode === OPEN && (this.#inbound === undefined || this.#body?.incoming)) {
      const chunk = held.shift();
      if (chunk === undefined) break;
      this.#process(chunk);
    }
    held.settle();
  }

  #readHead(chunk: Uint8Array, from: number): number {
    const parser = this.#parser;
    const begun = parser.started;
    if (!begun) this.#limits = parser.limits = this.#host.limits();
    let head: RequestHead | undefined;
    try {
      head = parser.parse(chunk, from);
    } catch (error) {
      this.#refuse(error);
      return chunk.byteLength;
    }
    if (head !== undefined) return this.#begin(head, chunk, parser.next);
    if (!begun && parser.started) this.#readBy = this.#now() + this.#limits.headerTimeout;
    return chunk.byteLength;
  }

  /** A request's head is in; `at` is where its body begins in `chunk`. Answers where reading goes on. */
  #begin(head: RequestHead, chunk: Uint8Array, at: number): number {
    const { framing } = head;
    const limit = this.#limits.body;
    if (framing > limit) {
      const { meaning } = ERROR_CODES.payload_too_large;
      this.#refuse(new MessageError("payload_too_large", "limits.body", meaning), head);
      return chunk.byteLength;
    }
    this.#readBy = 0;
    let body: Body | null = null;
    let next = at;
    if (framing === 0) {
      body = new BytesBody(NOTHING);
    } else if (framing > 0 && chunk.byteLength - at >= framing) {
      next = at + framing;
      body = new BytesBody(chunk, undefined, at, next);
    } else if (framing !== NO_BODY) {
      this.#body ??= new RequestBody(this);
      body = this.#body.begin(framing, limit, head.expectContinue);
    }
    if (head.upgrade !== undefined) this.#tunnel = new Tunnel(this, this.#writer, head.upgrade);
    const inbound = (this.#inbound = new Http1Inbound(this, head, body, this.#tunnel));
    if (this.#body?.incoming) {
      next = this.#body.read(chunk, at);
      if (this.#body.awaitsContinue) this.#readBy = 0;
    }
    try {
      this.#host.handler.handle(inbound);
    } catch (error) {
      this.#host.log.error({ err: error }, "the gateway failed to take a request");
      if (this.#inbound === inbound) this.answerFailed(error);
    }
    return next;
  }

  /** Answers what never became a request, and closes. */
  #refuse(thrown: unknown, facts: RequestFacts = this.#parser): void {
    const refusal = refusalOf(this.#host, this.facts, thrown, facts);
    if (refusal !== undefined) {
      const { status, headers, body } = refusal;
      this.#answers.refuse(status, headers, body, facts.method === "HEAD");
    }
    this.#shutDown();
  }

  // What the request's body tells.

  bodyPaused(paused: boolean): void {
    if (paused) this.#reading.pause(BY_BODY);
    else this.#reading.resume(BY_BODY);
    this.bodyProgressed();
  }

  bodyProgressed(): void {
    // While we do not read, the client cannot be late.
    this.#readBy = !this.#reading.paused && this.#body?.incoming ? this.#now() + this.#limits.bodyTimeout : 0;
  }

  bodyDone(): void {
    this.#readBy = 0;
    this.#reading.resume(BY_BODY | BY_WASTE);
    // The rest of a body whose request was answered before.
    if (this.#inbound === undefined) this.#awaitRequest();
  }

  bodyFailed(): void {
    this.#deaf = this.#last = true;
    this.#readBy = 0;
    this.#reading.resume(BY_BODY);
    if (this.#inbound === undefined) this.#shutDown();
  }

  bodyWasted(): void {
    this.#last = true;
    if (this.#inbound === undefined) this.#shutDown();
    // The client has to wait for its answer.
    else this.#reading.pause(BY_WASTE);
  }

  bodyWanted(): void {
    this.#answers.sendContinue();
    this.bodyProgressed();
  }

  // Answers out.

  respond(
    inbound: Http1Inbound,
    status: number,
    headers: HeaderList,
    body: Body | null,
  ): Sent | Promise<Sent> {
    if (status === 101 && this.#tunnel !== undefined) return this.#switch(this.#tunnel, headers, body);
    try {
      return this.#answers.send(inbound, status, headers, body);
    } catch (error) {
      // What nobody could have put there by the rules. The client must not wait for ever.
      body?.cancel(error);
      this.answerFailed(error);
      return { bytes: 0, complete: false, firstByteAt: 0, error };
    }
  }

  /** Takes the client's offer: from here on both directions are raw bytes. */
  #switch(tunnel: Tunnel, headers: HeaderList, body: Body | null): Promise<Sent> {
    this.#mode = TUNNEL;
    const parts = { status: 101, headers, framing: NO_BODY, connection: "upgrade", date: "" };
    const sent = tunnel.open(copyOf(encodeResponse(parts)), body ?? new BytesBody(NOTHING), this.#now());
    if (!this.#processing) tunnel.begin(NOTHING, this.#held);
    return sent;
  }

  inform(inbound: Http1Inbound, status: number, headers: HeaderList): void {
    this.#answers.inform(inbound, status, headers);
  }

  isLast(inbound: Http1Inbound, closes: boolean, whole: boolean): boolean {
    this.#last ||=
      closes || !inbound.keepAlive || this.#host.draining || this.#body?.hopeless(whole) === true;
    return this.#last;
  }

  answered(): void {
    this.#writeBy = 0;
    this.#dropOffer();
    const body = this.#body;
    if (body?.incoming) body.abandon();
    if (this.#last || this.#host.draining || body?.hopeless(true)) {
      this.#shutDown();
    } else if (body?.incoming) {
      this.#inbound = undefined;
      this.bodyProgressed();
    } else {
      this.#awaitRequest();
    }
  }

  wireLost(): void {
    this.#leave(clientGone());
  }

  answerFailed(error: unknown): void {
    this.#inbound?.detach(error);
    this.#inbound = undefined;
    this.#release();
    this.#wire.destroy();
    this.#body?.lose(error);
    this.#dropOffer();
  }

  // What the tunnel tells, beside `answerFailed` and `wireLost`.

  tunnelPaused(paused: boolean): void {
    if (paused) this.#reading.pause(BY_BODY);
    else this.#reading.resume(BY_BODY);
  }

  tunnelSent(): void {
    this.#wire.end();
  }

  tunnelOver(): void {
    this.#shutDown();
  }

  /** The client's offer to upgrade was not taken, or the tunnel is over. */
  #dropOffer(): void {
    const tunnel = this.#tunnel;
    if (tunnel === undefined) return;
    this.#tunnel = undefined;
    tunnel.body.cancel();
  }

  #awaitRequest(): void {
    this.#inbound = undefined;
    this.#readBy = this.#now() + this.#limits.idleTimeout;
    if (this.#processing || this.#held === undefined || this.#held.empty) return;
    // The request that was answered is to be over before the next one begins.
    queueMicrotask(() => this.#advance());
  }

  // The end.

  /** Nothing more is read and nothing more is answered; what was written still arrives. */
  #shutDown(): void {
    this.#mode = ENDING;
    this.#inbound = undefined;
    this.#held?.clear();
    this.#body?.lose(undefined);
    this.#readBy = 0;
    this.#reading.resume(BY_BODY | BY_PIPELINE | BY_WASTE);
    this.#ending.linger();
  }

  #close(): void {
    this.#mode = ENDING;
    this.#held?.clear();
    this.#ending.close();
  }

  /** The client left, or is treated as if it had. */
  #leave(error: SluiceError): void {
    const inbound = this.#inbound;
    const tunnel = this.#tunnel;
    this.#inbound = this.#tunnel = undefined;
    this.#release();
    this.#wire.destroy();
    this.#body?.lose(error);
    this.#answers.abandon(error);
    const complete = tunnel?.lose(error);
    if (inbound === undefined || complete) return;
    inbound.detach(error);
    try {
      inbound.onGone?.(error);
    } catch (failure) {
      this.#host.log.error({ err: failure }, "the gateway failed to let a client go");
    }
  }

  #release(): void {
    if (this.#mode === CLOSED) return;
    this.#mode = CLOSED;
    this.#held?.clear();
    this.#readBy = this.#writeBy = 0;
    this.#host.released(this);
  }

  #now(): number {
    return this.#host.clock.monotonic();
  }
}
