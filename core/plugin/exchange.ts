import type { Context } from "hono";
import type { Body } from "./body.ts";
import type { ContextKey } from "./context-key.ts";
import type { SluiceError } from "./errors.ts";
import type { HeaderList } from "./headers.ts";

/** What a client's certificate says, after the chain was verified against `client_ca`. */
export interface ClientCertificate {
  /** Distinguished name as `CN=…, O=…`. */
  readonly subject: string;
  /** Subject alternative names as `DNS:…`, `URI:…`, `IP Address:…`. */
  readonly subjectAltNames: readonly string[];
  /** SHA-256, upper-case hex with colons. */
  readonly fingerprint256: string;
}

export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** SNI, where the client sent one. */
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  readonly clientCertificate: ClientCertificate | undefined;
}

/** Facts about the connection. They come from the sockets, never from a header that a client could forge. */
export interface ConnectionFacts {
  /** The TCP peer (`unix` for a unix socket). */
  readonly socketAddress: string;
  readonly socketPort: number;
  /** The peer: the PROXY header's source where there is one, the TCP peer otherwise. */
  readonly peerAddress: string;
  readonly peerPort: number;
  /** Where the client connected to: the PROXY header's destination, or our socket. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: TlsFacts | undefined;
}

export type HttpVersion = "1.0" | "1.1" | "2";
/** The protocol that the caller speaks on top of HTTP; refusals are answered in it. */
export type CallProtocol = "http" | "grpc" | "grpc-web" | "connect";

export interface ExchangeRequest {
  method: string;
  /** The request target byte for byte as it came; for the log. */
  readonly rawTarget: string;
  readonly scheme: "http" | "https";
  /** Host and port as the client named them: `Host` or `:authority`. */
  readonly authority: string;
  /**
   * The path in normal form. For steps, on the way in and out, it is what the route matched: a route's `rewrite` comes
   * after them. A step that assigns it changes what the rewrite begins with, and so what is forwarded.
   */
  path: string;
  /** The query with its `?`, or "". */
  search: string;
  readonly headers: HeaderList;
  /**
   * The client's body is kept as a plugin reads it, up to the listener's `limits.buffered_body`, and goes upstream from
   * its first byte all the same; a read beyond that limit fails with `payload_too_large`. Who puts another body (or null)
   * in its place may read it to any length, and nothing is kept.
   */
  body: Body | null;
}

export interface ExchangeResponse {
  status: number;
  readonly headers: HeaderList;
  /** Null when the message has none (HEAD, 204, 304, gRPC Trailers-Only). */
  body: Body | null;
  /** Who made it: an upstream, or the gateway and its plugins. */
  readonly source: "upstream" | "gateway";
}

/** One way to answer a request: an upstream, and what it takes to speak its dialect. */
export interface Candidate {
  /** Name of an upstream of the configuration. */
  readonly upstream: string;
  /**
   * What an upstream with `balance: consistent-hash` hashes instead of its own keys: requests of one affinity go to one
   * target, while it may be asked.
   */
  readonly affinity?: string;
  /**
   * Makes the request ready for this upstream; runs before each try. What it changes of the request's method, path,
   * query, headers and body is taken back when the try is over. It has the timeout of the step that chose it.
   */
  prepare?(exchange: Exchange): void | Promise<void>;
  /**
   * Takes its answer: may change it, or throw a SluiceError so that the next candidate is tried. Its time is bounded as
   * that of `prepare`.
   */
  accept?(exchange: Exchange, answer: ExchangeResponse): void | Promise<void>;
}

/** How a request ended. */
export interface Outcome {
  /** Whether the client was sent the answer to its last byte. */
  readonly complete: boolean;
  /** Of the answer; what would have been sent where the client had left before. */
  readonly status: number;
  /** Bytes of the request's body that were read. */
  readonly bytesIn: number;
  /** Bytes of the answer's body that were sent. */
  readonly bytesOut: number;
  /**
   * What decided the outcome, where that is a failure: also a client that left (`client_closed`), and a refusal by a
   * step. An upstream's own 5xx is none.
   */
  readonly failure: SluiceError | undefined;
  /** Milliseconds from the request's head to its end. */
  readonly durationMs: number;
}

/**
 * One request and its answer: the truth that Fetch and Hono objects are views of. Changes made here go out
 * on the wire; reading a field costs nothing, whereas `c.req.raw` and `c.res` build Fetch objects.
 */
export interface Exchange {
  readonly request: ExchangeRequest;
  /** Undefined on the way in, until an upstream or a plugin has answered. */
  response: ExchangeResponse | undefined;
  readonly connection: ConnectionFacts;
  readonly httpVersion: HttpVersion;
  readonly protocol: CallProtocol;
  /** The client's address after PROXY protocol and trusted `X-Forwarded-For`. */
  readonly clientAddress: string;
  /** Whether the peer stands in `trusted_proxies`, so that its forwarding headers were believed. */
  readonly fromTrustedProxy: boolean;
  /** Name of the matched route (`routes[N]` for a nameless one). */
  readonly route: string;
  /** The id in logs and error bodies. A fresh UUID until `request-id` or a plugin assigns another. */
  requestId: string;
  /** Upstreams to try in order. The route's own `upstream` unless a plugin replaces the list. */
  candidates: readonly Candidate[];
  /** `clock.monotonic()` when the request's head was complete. */
  readonly startedAt: number;
  /**
   * `clock.monotonic()` by which the caller wants its answer: `grpc-timeout`, `connect-timeout-ms`. `Infinity` for none.
   * When it passes, the request is cancelled and answered with DEADLINE_EXCEEDED.
   */
  readonly deadline: number;
  /** True once the client has left, the deadline has passed or the gateway cut the request. */
  readonly cancelled: boolean;
  /** Fires with `cancelled`; made when first read. */
  readonly signal: AbortSignal;
  /** Runs `listener` when the request is cancelled (at once, if it was). Answers a function that takes it back. */
  onCancel(listener: (reason: unknown) => void): () => void;
  /**
   * Runs `listener` once, when the request is over: after the last byte of its answer, or when it was cut, refused or left
   * by its client (at once, if it is over already). For what must be settled or given back however a request ends. What it
   * throws or rejects with is counted against the plugin and changes nothing. Answers a function that takes it back.
   */
  onEnd(listener: (outcome: Outcome) => void | Promise<void>): () => void;
  /**
   * Adds a field to the request's line in the access log, under `fields`; undefined takes it away. Possible until the
   * listeners of `onEnd` have returned. A text is cut after 512 characters, and a request has 32 fields: what comes after
   * those is left out.
   * @param name lower case, digits and `_`, at most 64 characters; of a secret-looking name the value is masked.
   * @throws TypeError on any other name, and on a value that is no text, number or boolean.
   */
  logField(name: string, value: string | number | boolean | undefined): void;
  get<T>(key: ContextKey<T>): T;
  set<T>(key: ContextKey<T>, value: T): void;
}

/** Where a Hono context of ours keeps its exchange. */
export const EXCHANGE: unique symbol = Symbol.for("sluice.exchange");

/** The exchange behind a Hono context. @throws TypeError for a context that the gateway did not make. */
export function exchangeOf(c: Context): Exchange {
  const exchange = (c as Context & { [EXCHANGE]?: Exchange })[EXCHANGE];
  if (exchange === undefined) throw new TypeError("this context does not belong to a Sluice request");
  return exchange;
}
