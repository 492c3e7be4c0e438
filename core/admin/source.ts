/** What became of a reload. */
export type ReloadResult =
  | { readonly ok: true; readonly generation: number; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly generation: number; readonly errors: readonly string[] };

/** A running gateway as the admin API sees it. */
export interface AdminSource {
  /** The bearer token; undefined leaves reads from loopback open and closes everything else. */
  readonly token: string | undefined;
  /** Whether `admin.allow` lets this peer in. */
  allows(address: string): boolean;
  readonly live: boolean;
  /** @param checker the address that asks. */
  ready(checker: string): boolean;
  /** Components, versions, uptime, the last reload. */
  health(): object;
  metricsText(): Promise<string>;
  readonly metricsContentType: string;
  metricsSummary(): object;
  /** The effective configuration, secrets masked. */
  config(): object;
  routes(): readonly object[];
  upstreams(): readonly object[];
  /**
   * Sends a target no new requests any more, or sends it some again.
   * @param target its URL, or the host and port of it. @returns the target as it is now; undefined for an unknown one
   */
  drain(upstream: string, target: string, drained: boolean): object | undefined;
  reload(): Promise<ReloadResult>;
  readonly logLevel: string;
  /** False for a level that does not exist. */
  setLogLevel(level: string): boolean;
}
