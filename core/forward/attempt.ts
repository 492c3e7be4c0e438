import { type Body, type HeaderList, SluiceError } from "sluice/plugin";
import type { UpstreamTimeouts } from "../../config/types.ts";
import type { UpgradeOffer } from "../listener/inbound.ts";
import type { DeadlineSweep, Swept } from "../pipeline/deadline-sweep.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import type { Cancellable, OutboundRequest, Progress, Target } from "../upstream/index.ts";
import type { AnswerBody } from "./answer-body.ts";
import { authorityOf, type HeaderRules } from "./header-rules.ts";

/** What every attempt of a forwarder shares. */
export interface AttemptDeps {
  readonly rules: Pick<HeaderRules, "inform">;
  readonly sweep: DeadlineSweep;
}

/**
 * One request to one target, from the moment the target counts it until its answer is over. It is the
 * transport's request, the progress in it and the entry in the sweep of deadlines in one object.
 */
export class Attempt implements OutboundRequest, Progress, Swept {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
  readonly body: Body | null;
  readonly upgrade: UpgradeOffer | undefined;
  readonly timeouts: UpstreamTimeouts;
  sent = false;
  reused = false;
  before: Swept | undefined;
  after: Swept | undefined;
  /** Set once the answer's head is here, where it has a body. */
  answer: AnswerBody | undefined;
  /** Why it was ended before its time; decides over whatever the transport says then. */
  overdue: SluiceError | undefined;
  readonly #x: GatewayExchange;
  readonly #deps: AttemptDeps;
  readonly #to: Target;
  readonly #expiresAt: number;
  #call: Cancellable | undefined;
  #timed: boolean;
  #over = false;

  /**
   * The target counts it from here on.
   * @param headers for the upstream.
   * @param upgrade that is passed on; undefined for none.
   * @param expiresAt monotonic milliseconds by which `timeouts.request` wants it to be over; `Infinity` for none.
   */
  constructor(
    x: GatewayExchange,
    to: Target,
    timeouts: UpstreamTimeouts,
    headers: HeaderList,
    upgrade: UpgradeOffer | undefined,
    expiresAt: number,
    deps: AttemptDeps,
  ) {
    const { request } = x;
    const { config } = to;
    this.method = request.method;
    // RFC 9112 §3.2.4: `*` names the server as a whole, whatever the base path.
    this.target = request.path === "*" ? "*" : config.basePath + request.path + request.search;
    this.authority = authorityOf(request) || authorityOfTarget(config.url);
    this.scheme = config.scheme === "https" ? "https" : "http";
    this.headers = headers;
    this.body = request.body;
    this.upgrade = upgrade;
    this.timeouts = timeouts;
    this.#x = x;
    this.#to = to;
    this.#expiresAt = expiresAt;
    this.#deps = deps;
    x.departed = true;
    to.acquire();
    this.#timed = expiresAt !== Number.POSITIVE_INFINITY;
    if (this.#timed) deps.sweep.add(this);
  }

  get progress(): Progress {
    return this;
  }

  onCancel(call: Cancellable): void {
    this.#call = call;
    this.#x.attach(this);
  }

  offCancel(): void {
    this.#call = undefined;
    this.#x.detach(this);
  }

  /** The request was cancelled, with whatever is under way for it. */
  cancelled(reason: unknown): void {
    // The caller's deadline ends an answer that has begun in the caller's protocol, where that has a word for it.
    if (reason instanceof SluiceError && reason.reason === "timeout.deadline" && this.answer !== undefined)
      this.#expire(reason);
    else this.#call?.cancelled(reason);
  }

  onInform(status: number, headers: HeaderList): void {
    this.#deps.rules.inform(headers);
    this.#x.inbound.inform(status, headers);
  }

  checkDeadline(now: number): void {
    if (now < this.#expiresAt || this.overdue !== undefined) return;
    this.#expire(tookTooLong());
  }

  /** Somebody waits for the answer's body: a step that reads it, whose time that is not. */
  waits(): (() => void) | undefined {
    return this.#x.atWork === undefined ? undefined : this.#x.waitsFor("upstreamWait");
  }

  statusMissing(): SluiceError {
    // The caller gets a whole answer that says so: nobody else would note the failure.
    return (this.#x.record.failure = new SluiceError(
      "upstream_failed",
      "the upstream's answer ended without a gRPC status",
      { reason: "protocol" },
    ));
  }

  /** It goes on in another protocol, as long as both sides like: no deadline holds for that. */
  switched(): void {
    if (this.#timed) this.#deps.sweep.remove(this);
    this.#timed = false;
  }

  /** The target counts it no longer. Idempotent. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#to.release();
    if (this.#timed) this.#deps.sweep.remove(this);
  }

  #expire(overdue: SluiceError): void {
    this.overdue = overdue;
    if (this.answer === undefined) {
      this.#call?.cancelled(overdue);
      return;
    }
    // A gRPC caller gets a whole answer that says so: nobody else would note the failure.
    if (this.#x.protocol === "grpc") this.#x.record.failure = overdue;
    this.answer.expire(overdue);
  }
}

function tookTooLong(): SluiceError {
  return new SluiceError("upstream_timeout", "the whole exchange took too long", {
    reason: "timeout.request",
  });
}

/** RFC 9112 §3.2: an HTTP/1.1 request names a host even where the client, of HTTP/1.0, did not. */
function authorityOfTarget(url: string): string {
  return url.startsWith("unix:") ? "localhost" : new URL(url).host;
}
