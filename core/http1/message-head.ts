import type { HeaderList } from "sluice/plugin";
import type { Framing } from "./framing.ts";

/** Bounds on a header block. `Limits` of the configuration fits. */
export interface HeadLimits {
  /** Bytes of the field lines, start line and closing empty line excluded. */
  readonly headerBytes: number;
  /** Header fields. */
  readonly headerCount: number;
}

export interface RequestLimits extends HeadLimits {
  /** Bytes of the request target. */
  readonly url: number;
}

/** A request's head, well-formed and within the limits. */
export interface RequestHead {
  readonly method: string;
  /** As on the wire. */
  readonly rawTarget: string;
  readonly version: "1.0" | "1.1";
  /** `Host`, or the authority of an absolute-form target (they agree). "" for HTTP/1.0 without a Host. */
  readonly authority: string;
  /** In order, without `host`, `content-length`, `transfer-encoding`, `expect` and names with an underscore. */
  readonly headers: HeaderList;
  /** A length, `CHUNKED` or `NO_BODY`. */
  readonly framing: Framing;
  /** Whether the client lets the connection live on (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /** `Expect: 100-continue` from an HTTP/1.1 client (RFC 9110 §10.1.1). */
  readonly expectContinue: boolean;
  /**
   * `Upgrade`'s value where it names protocols, `Connection` names it and there is no body (RFC 9110 §7.8);
   * undefined otherwise.
   */
  readonly upgrade: string | undefined;
}

/** An answer's head. */
export interface ResponseHead {
  readonly status: number;
  readonly version: "1.0" | "1.1";
  /**
   * In order, without `transfer-encoding`. `content-length` stays (an answer to HEAD keeps it), `connection` too:
   * the caller needs to know which fields it names.
   */
  readonly headers: HeaderList;
  /** A length, `CHUNKED`, `UNTIL_CLOSE` (101, too: raw bytes follow it) or `NO_BODY` (HEAD, other 1xx, 204, 304). */
  readonly framing: Framing;
  /** Whether the connection may carry another request after this answer. False for 101. */
  readonly keepAlive: boolean;
}
