import type { Context } from "hono";
import type { Body } from "./body.ts";
import type { ContextKey } from "./context-key.ts";
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
  /** The path in normal form: what was matched and what is forwarded. A rewrite assigns it. */
  path: string;
  /** The query with its `?`, or "". */
  search: string;
  readonly headers: HeaderList;
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
  /** Makes the request ready for this upstream; runs before each try. */
  prepare?(exchange: Exchange): void | Promise<void>;
  /** Takes its answer: may change it, or throw a SluiceError so that the next candidate is tried. */
  accept?(exchange: Exchange, answer: ExchangeResponse): void | Promise<void>;
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
  /** True once the client has left, the deadline has passed or the gateway cut the request. */
  readonly cancelled: boolean;
  /** Fires with `cancelled`; made when first read. */
  readonly signal: AbortSignal;
  /** Runs `listener` when the request is cancelled (at once, if it was). Answers a function that takes it back. */
  onCancel(listener: (reason: unknown) => void): () => void;
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
