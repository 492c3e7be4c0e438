import type { Body, HeaderList, PolledBody } from "sluice/plugin";
import type { UpgradeOffer } from "../listener/inbound.ts";
import type { UpstreamTimeouts } from "../../config/types.ts";

/** A request on its way to one target. */
export interface OutboundRequest {
  readonly method: string;
  /** Path and query in origin-form. */
  readonly target: string;
  /** For `Host` or `:authority`. */
  readonly authority: string;
  readonly scheme: "http" | "https";
  /** End-to-end fields only; the transport adds framing. May hold `te: trailers`. */
  readonly headers: HeaderList;
  readonly body: Body | null;
  /**
   * Set where the client's offer to upgrade is passed on (HTTP/1.1 only; `headers` hold its `upgrade` then). With a
   * 101 the answer's body are the other protocol's bytes, and `upgrade.body` is sent until its end.
   */
  readonly upgrade?: UpgradeOffer | undefined;
  readonly timeouts: UpstreamTimeouts;
  /** Tells `call` when the request is to be given up, perhaps at once; until `offCancel`. Once a request. */
  onCancel(call: Cancellable): void;
  offCancel(): void;
  /** Whether what was sent is not sent again by the transport itself, where the connection turns out to be closing. */
  readonly once?: boolean;
  /** The transport sends it once more. */
  resent?(): void;
  /** An informational answer came (103 and the like, not 100). */
  onInform(status: number, headers: HeaderList): void;
  /** Facts that a retry decision needs, filled in by the transport. */
  readonly progress: Progress;
}

/** What can be given up. */
export interface Cancellable {
  cancelled(reason: unknown): void;
}

export interface Progress {
  /** Whether a byte of the request may have reached the upstream, and it has not said that it did not look at it. */
  sent: boolean;
  /** Whether the connection had carried a request before. */
  reused: boolean;
  /** Whether the request was sent to its end. */
  finished: boolean;
}

/** An answer's head, and its body to pull. */
export interface UpstreamAnswer {
  readonly status: number;
  /**
   * Fields as they came, end-to-end and hop-by-hop, without `transfer-encoding`. `connection` stays, because it
   * names others, and so does `content-length`, which is all that an answer to HEAD has of it.
   */
  readonly headers: HeaderList;
  /** Null where the answer has none: HEAD, 204, 304, Trailers-Only. Its `read` rejects with a SluiceError. */
  readonly body: PolledBody | null;
}

/** Speaks one protocol to one target; owns its connections. */
export interface Transport {
  /** @throws SluiceError with a reason such as `connect`, `tls`, `reset`, `protocol`, `timeout.first_byte`, `overflow`. */
  request(request: OutboundRequest): Promise<UpstreamAnswer>;
  /** Open connections, and how many of them are unused now. */
  readonly connections: { readonly open: number; readonly idle: number };
  /** Lets running requests finish, closes the rest. */
  close(): void;
}
