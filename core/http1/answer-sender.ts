import { type Body, BytesBody, type Clock, type HeaderList, SluiceError } from "sluice/plugin";
import type { HttpDate } from "../listener/http-date.ts";
import type { Sent } from "../listener/inbound.ts";
import { planAnswer } from "./answer-plan.ts";
import { type AnswerOwner, AnswerStream, wrongLength } from "./answer-stream.ts";
import { copyOf, encodeResponse } from "./encoder.ts";
import { NO_BODY } from "./framing.ts";
import type { Http1Inbound } from "./http1-inbound.ts";
import type { WireWriter } from "./wire-writer.ts";

/** The connection that answers go out on. */
export interface AnswerSenderOwner {
  /**
   * Whether the connection ends with the answer whose head is about to be written; `closes`: it says so itself,
   * `whole`: it goes out at once, so that what the request's body still owes will not be read.
   */
  isLast(inbound: Http1Inbound, closes: boolean, whole: boolean): boolean;
  /** The kernel has taken the whole answer. */
  answered(): void;
  /** The answer broke off: the client must not take it for a complete one. */
  answerFailed(error: unknown): void;
  /** The client turned out to be gone: calls `abandon`. */
  wireLost(): void;
}

/** Up to this a body in memory is copied behind its head for one write. */
const ONE_WRITE = 65_536;
const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** Sends the answers of one connection, one after the other. */
export class AnswerSender implements AnswerOwner {
  readonly #owner: AnswerSenderOwner;
  readonly #writer: WireWriter;
  readonly #clock: Clock;
  readonly #date: HttpDate;
  #stream: AnswerStream | undefined;
  /** Defined while `send` has not settled. */
  #settle: ((sent: Sent) => void) | undefined;
  #bytes = 0;
  #firstByteAt = 0;

  constructor(owner: AnswerSenderOwner, writer: WireWriter, clock: Clock, date: HttpDate) {
    this.#owner = owner;
    this.#writer = writer;
    this.#clock = clock;
    this.#date = date;
  }

  /** Whether an answer is complete and only the kernel holds it up. */
  get flushing(): boolean {
    return this.#settle !== undefined && (this.#stream === undefined || this.#stream.ended);
  }

  send(inbound: Http1Inbound, status: number, headers: HeaderList, body: Body | null): Sent | Promise<Sent> {
    this.#firstByteAt = this.#clock.monotonic();
    if (!(status >= 200 && status <= 999 && Number.isInteger(status))) {
      const error = new SluiceError("internal", `${status} is not the status of a final answer`);
      return this.#unsendable(body, error);
    }
    const plan = planAnswer(inbound.method, inbound.httpVersion, status, headers, body);
    const bodiless = body === null || !plan.sendsBody;
    // A body in memory needs no stream, and where it is small no second write.
    const inMemory = body instanceof BytesBody && body.length === plan.framing;
    const atHand = bodiless || inMemory;
    const last = this.#owner.isLast(inbound, plan.closes, atHand);
    const parts = {
      status,
      headers,
      framing: plan.framing,
      connection: last ? "close" : inbound.httpVersion === "1.0" ? "keep-alive" : "",
      date: this.#date.value(),
    };
    if (bodiless) {
      body?.cancel();
      this.#writer.writeOnce(encodeResponse(parts));
      return this.#written(0);
    }
    if (inMemory) {
      const size = body.left;
      // It was read before: a head that promises it would take the next answer's bytes for it.
      if (size !== plan.framing) return this.#unsendable(body, wrongLength(plan.framing));
      const together = size <= ONE_WRITE;
      this.#writer.writeOnce(encodeResponse(parts, together ? body : undefined));
      if (!together) this.#writer.write(body.read() as Uint8Array);
      return this.#written(size);
    }
    const sent = this.#unsettled();
    this.#stream = new AnswerStream(this, this.#writer, body, plan.framing);
    this.#stream.start(copyOf(encodeResponse(parts)));
    return sent;
  }

  /** A 1xx. RFC 9110 §15.2: none to HTTP/1.0; one that would have to wait for the wire helps nobody. */
  inform(inbound: Http1Inbound, status: number, headers: HeaderList): void {
    if (inbound.httpVersion === "1.0" || this.#writer.blocked || status <= 101 || status > 199) return;
    this.#writer.writeOnce(encodeResponse({ status, headers, framing: NO_BODY, connection: "", date: "" }));
  }

  /** Leave to send the request's body; nothing once an answer was begun. */
  sendContinue(): void {
    if (this.#settle === undefined) this.#writer.write(CONTINUE);
  }

  /** Answers a request that never became one. `bodiless` for HEAD: the length stays. */
  refuse(status: number, headers: HeaderList, body: Uint8Array, bodiless: boolean): void {
    const parts = {
      status,
      headers,
      framing: body.byteLength,
      connection: "close",
      date: this.#date.value(),
    };
    this.#writer.writeOnce(encodeResponse(parts, bodiless ? undefined : body));
  }

  /** Nothing waits for the wire any more. */
  drained(): void {
    if (this.#stream !== undefined) this.#stream.drained();
    else if (this.#settle !== undefined) this.answerSent(this.#bytes);
  }

  /** The client is gone: the body is cancelled and `send` settles as incomplete. */
  abandon(error: unknown): void {
    const stream = this.#stream;
    stream?.abandon(error);
    this.#finish(this.#sent(stream?.bytes ?? 0, false, error));
  }

  answerSent(bytes: number): void {
    this.#finish(this.#sent(bytes, true, undefined));
    this.#owner.answered();
  }

  answerBroken(error: unknown, bytes: number): void {
    this.#finish(this.#sent(bytes, false, error));
    this.#owner.answerFailed(error);
  }

  wireLost(): void {
    this.#owner.wireLost();
  }

  /** Every byte was written; the wire may still hold some up. */
  #written(bytes: number): Sent | Promise<Sent> {
    if (this.#writer.blocked || this.#writer.closed) {
      this.#bytes = bytes;
      const sent = this.#unsettled();
      if (this.#writer.closed) this.#owner.wireLost();
      return sent;
    }
    const sent = this.#sent(bytes, true, undefined);
    this.#owner.answered();
    return sent;
  }

  /** Nothing of it was written. */
  #unsendable(body: Body | null, error: SluiceError): Sent {
    body?.cancel(error);
    this.#owner.answerFailed(error);
    return this.#sent(0, false, error);
  }

  #unsettled(): Promise<Sent> {
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  #sent(bytes: number, complete: boolean, error: unknown): Sent {
    return { bytes, complete, firstByteAt: this.#firstByteAt, error };
  }

  #finish(sent: Sent): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#stream = undefined;
    settle?.(sent);
  }
}
