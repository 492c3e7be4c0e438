import type { Clock, Log } from "sluice/plugin";

/** Why the front closed a connection; a label of `sluice_refused_connections_total`. */
export type ListenerEvent =
  | "connections"
  | "connections_per_address"
  | "proxy_untrusted"
  | "proxy_header"
  | "tls_handshake"
  | "client_certificate"
  | "protocol"
  | "timeout";

/** Between two log lines of one kind: whoever connects in a loop must not fill the disk. */
const QUIET_MS = 10_000;

const MESSAGES: Readonly<Record<ListenerEvent, string>> = {
  connections: "connection refused: limits.connections is reached",
  connections_per_address: "connection refused: limits.connections_per_address is reached",
  proxy_untrusted: "connection refused: a PROXY header is expected and the peer is not in trusted_proxies",
  proxy_header: "connection refused: no valid PROXY header",
  tls_handshake: "TLS handshake failed",
  client_certificate: "connection refused: no valid client certificate",
  protocol: "connection refused: its protocol is not served on this listener",
  timeout: "connection closed: it said too little for too long",
};

/** Counts every refusal and logs a few of them. */
export class Refusals {
  readonly #listener: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onEvent: ((kind: ListenerEvent) => void) | undefined;
  readonly #quiet = new Map<ListenerEvent, { until: number; suppressed: number }>();

  constructor(
    listener: string,
    clock: Clock,
    log: Log,
    onEvent: ((kind: ListenerEvent) => void) | undefined,
  ) {
    this.#listener = listener;
    this.#clock = clock;
    this.#log = log;
    this.#onEvent = onEvent;
  }

  /** @param detail what exactly was wrong, where that is known */
  add(kind: ListenerEvent, address: string, detail: string | undefined): void {
    this.#onEvent?.(kind);
    const now = this.#clock.monotonic();
    const last = this.#quiet.get(kind);
    if (last !== undefined && now < last.until) {
      last.suppressed++;
      return;
    }
    this.#quiet.set(kind, { until: now + QUIET_MS, suppressed: 0 });
    const suppressed = last?.suppressed ?? 0;
    this.#log.warn(
      {
        listener: this.#listener,
        address,
        ...(detail === undefined ? {} : { detail }),
        ...(suppressed === 0 ? {} : { suppressed }),
      },
      MESSAGES[kind],
    );
  }
}
