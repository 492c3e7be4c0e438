import type { Body, ConnectionFacts, HeaderList, SluiceError } from "sluice/plugin";
import type { Inbound, Sent, UpgradeOffer } from "../listener/inbound.ts";
import type { RequestHead } from "./message-head.ts";

/** The connection as one of its requests sees it. */
export interface Responder {
  readonly facts: ConnectionFacts;
  respond(
    inbound: Http1Inbound,
    status: number,
    headers: HeaderList,
    body: Body | null,
  ): Sent | Promise<Sent>;
  inform(inbound: Http1Inbound, status: number, headers: HeaderList): void;
}

/** One request over HTTP/1.1 or 1.0. It outlives its connection: late calls come to nothing. */
export class Http1Inbound implements Inbound {
  readonly connection: ConnectionFacts;
  readonly httpVersion: "1.0" | "1.1";
  readonly method: string;
  readonly rawTarget: string;
  readonly authority: string;
  readonly headers: HeaderList;
  readonly body: Body | null;
  /** Set where the client offers to go on in another protocol: `respond(101, …)` takes the offer. */
  readonly upgrade: UpgradeOffer | undefined;
  /** Whether the client lets the connection live on after the answer. */
  readonly keepAlive: boolean;
  onGone: ((error: SluiceError) => void) | undefined = undefined;
  #answered = false;
  /** Why there is nobody to answer any more. */
  #gone: unknown;
  readonly #responder: Responder;

  constructor(responder: Responder, head: RequestHead, body: Body | null, upgrade: UpgradeOffer | undefined) {
    this.#responder = responder;
    this.connection = responder.facts;
    this.httpVersion = head.version;
    this.method = head.method;
    this.rawTarget = head.rawTarget;
    this.authority = head.authority;
    this.headers = head.headers;
    this.body = body;
    this.upgrade = upgrade;
    this.keepAlive = head.keepAlive;
  }

  get scheme(): "http" | "https" {
    return this.connection.tls === undefined ? "http" : "https";
  }

  respond(status: number, headers: HeaderList, body: Body | null): Sent | Promise<Sent> {
    if (this.#gone === undefined && !this.#answered) {
      this.#answered = true;
      return this.#responder.respond(this, status, headers, body);
    }
    body?.cancel(this.#gone);
    return { bytes: 0, complete: false, firstByteAt: 0, error: this.#gone };
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#gone === undefined && !this.#answered) this.#responder.inform(this, status, headers);
  }

  /** The connection is of no use any more. */
  detach(reason: unknown): void {
    this.#gone = reason;
  }
}
