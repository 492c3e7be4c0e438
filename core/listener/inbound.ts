import type { Body, ConnectionFacts, ErrorCode, HeaderList, HttpVersion, SluiceError } from "sluice/plugin";

/** What became of an answer. */
export interface Sent {
  /** Body bytes handed to the connection. */
  readonly bytes: number;
  /** True when the whole answer left; false when it broke off. */
  readonly complete: boolean;
  /** `clock.monotonic()` when the answer's first byte left. */
  readonly firstByteAt: number;
  /** Why it broke off: the client left (`client_closed`), or the answer's body failed. */
  readonly error: unknown;
}

/**
 * A client's offer to leave HTTP/1.1 for another protocol (RFC 9110 §7.8). It is taken by answering 101: the
 * answer's body are the bytes to the client, and `body` those from it.
 */
export interface UpgradeOffer {
  /** `Upgrade`'s value: one protocol, or a list in the order of preference. */
  readonly protocol: string;
  /**
   * What the client sends after the request's head. Nothing comes before 101 was answered, and the body is
   * cancelled when another status is. Ends with the client's FIN; fails when the client is gone.
   */
  readonly body: Body;
}

/**
 * A request as a codec read it: well-formed, within the limits, its framing headers removed. Both codecs
 * (HTTP/1.1 and HTTP/2) make it; the gateway takes it from there.
 */
export interface Inbound {
  readonly connection: ConnectionFacts;
  readonly httpVersion: HttpVersion;
  readonly method: string;
  /** The request target as on the wire (origin-form, absolute-form or `*`; `:path` in HTTP/2). */
  readonly rawTarget: string;
  readonly scheme: "http" | "https";
  /** `Host`, `:authority` or the authority of an absolute-form target. "" for HTTP/1.0 without a Host. */
  readonly authority: string;
  /** Fields in order, without `host` and pseudo-headers. `connection`, `te` … are still there. */
  readonly headers: HeaderList;
  /** Null where the request has no body. Reading pauses the connection when nobody reads. */
  readonly body: Body | null;
  /** Set where the client offers to go on in another protocol (HTTP/1.1 only): `respond(101, …)` takes the offer. */
  readonly upgrade?: UpgradeOffer | undefined;
  /**
   * Sends the answer; once. `headers` carry no framing: the codec adds Content-Length, chunking, Date and
   * Connection as its protocol needs. Never throws or rejects; a promise where something has to be waited for. A body
   * that fails is cut so that the client sees a broken answer (connection reset, RST_STREAM), never a complete one.
   */
  respond(status: number, headers: HeaderList, body: Body | null): Sent | Promise<Sent>;
  /** Sends an informational answer (103) where the protocol allows it. */
  inform(status: number, headers: HeaderList): void;
  /**
   * Set by the forwarder: whether the client may be silent in the middle of its body for as long as it likes, with no
   * `body_timeout`. So for a gRPC call that goes on over HTTP/2, where a silent stream holds up no other; over HTTP/1.1
   * it would keep a connection from everybody else. HTTP/2 only. @default false
   */
  bodyMayRest?: boolean;
  /** Set by the gateway; called once when the client leaves before the answer is complete. */
  onGone: ((error: SluiceError) => void) | undefined;
}

/** A request that never became one: refused by a codec or a limit. */
export interface Rejection {
  readonly connection: ConnectionFacts;
  readonly httpVersion: HttpVersion;
  readonly code: ErrorCode;
  readonly reason: string;
  /** For the client: what is wrong, without internals. */
  readonly message: string;
  /** As far as they were read. */
  readonly method: string | undefined;
  readonly rawTarget: string | undefined;
}

/** The gateway as the listeners see it. */
export interface GatewayHandler {
  handle(inbound: Inbound): void;
  /** Counts and logs the refusal, and answers the message that the codec is to send before it closes. */
  rejected(rejection: Rejection): { readonly headers: HeaderList; readonly body: Uint8Array };
}
