/* What the tests and the upstreams of policy-upstream.ts say to each other. */

/** What a target speaks. The ones in the middle are HTTP/1.1 and HTTP/2; "s" stands for TLS. */
export type Speech = "http1" | "https1" | "http2" | "https2" | "grpc";

/** What a target does. Each order changes what it names and leaves the rest. */
export interface Orders {
  /**
   * - `good`: 200 (gRPC: OK)
   * - `fail`: 503 (gRPC: UNAVAILABLE)
   * - `reset`: the connection is reset once the request is there
   * - `hold`: nothing, until another order says what to answer
   */
  readonly answer?: "good" | "fail" | "reset" | "hold";
  /** Beside `fail`. */
  readonly retryAfter?: string;
  /** Every n-th request is answered so many milliseconds later; null for none. */
  readonly stall?: { readonly every: number; readonly ms: number } | null;
  /** Of `/healthz`, or of grpc.health.v1, where NOT_FOUND stands for the redirect. */
  readonly health?: "good" | "failing" | "hang" | "redirect";
  /**
   * What becomes of connections: they are served, accepted and not even read, or there is nobody who accepts them. Each
   * such order resets those that are open.
   */
  readonly port?: "served" | "mute" | "closed";
}

export interface Order {
  /** Comes back in the reply. */
  readonly number: number;
  readonly target: string;
  readonly orders: Orders;
  /** The reply waits until so many requests are held. */
  readonly untilHeld?: number;
}

/** The reply to an order. */
export interface Situation {
  readonly number: number;
  /** Requests that are not answered yet, and the most that there were at a time. */
  readonly active: number;
  readonly peak: number;
}

/** The only argument of policy-upstream.ts, as JSON. Its first line is the ports by target. */
export interface Setup {
  /** A file that gets a line for each request, before it is answered: `TARGET METHOD ID`. */
  readonly journal: string;
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
  readonly targets: readonly { readonly name: string; readonly speech: Speech; readonly port: number }[];
}
