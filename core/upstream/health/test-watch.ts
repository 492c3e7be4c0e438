import { createFakeClock, type FakeClock } from "sluice/testing";
import type { HealthConfig, TargetConfig } from "../../../config/types.ts";
import { http1, http2, targetOf, type TransportSettings } from "../test-kit.ts";
import type { Transport } from "../transport.ts";
import { type HealthCheck, type HealthVerdict, startHealthCheck } from "./health-check.ts";

/* What the tests of this folder share: a check whose time stands still until a test moves it, over real sockets. */

export function healthConfig(fields: Partial<HealthConfig> = {}): HealthConfig {
  return {
    kind: "http",
    path: "/health",
    method: "GET",
    host: undefined,
    headers: [],
    statuses: [[200, 299]],
    body: undefined,
    service: "",
    interval: 5_000,
    timeout: 2_000,
    fall: 3,
    rise: 2,
    ...fields,
  };
}

export interface WatchSettings extends TransportSettings {
  readonly config?: Partial<HealthConfig>;
  readonly target?: Partial<TargetConfig>;
  readonly http2?: boolean;
  readonly healthy?: boolean;
}

/** A check without chance: the first after half an interval, and then one every interval. */
export class Watch implements Disposable {
  readonly clock: FakeClock;
  readonly check: HealthCheck;
  readonly config: HealthConfig;
  /** `true status 200`, `false timeout` …, each time that the verdict changed. */
  readonly changes: string[] = [];
  /** Of all transports that were opened, the last is in use. */
  readonly transports: Transport[] = [];
  /** Milliseconds that each check took. */
  readonly took: number[] = [];
  #next: number;
  #verdict = Promise.withResolvers<HealthVerdict>();

  constructor(settings: WatchSettings) {
    const clock = (this.clock = createFakeClock());
    const kind = settings.config?.kind ?? "http";
    this.config = healthConfig(settings.config);
    this.#next = clock.monotonic() + this.config.interval / 2;
    this.check = startHealthCheck({
      target: { ...targetOf(settings), ...settings.target },
      config: this.config,
      open: () => {
        const open = settings.http2 === true || kind === "grpc" ? http2 : http1;
        const transport = open({ ...settings, clock, pool: { maxConnections: 1, maxPending: 1 } });
        this.transports.push(transport);
        return transport;
      },
      clock,
      random: { next: () => 0.5 },
      healthy: settings.healthy ?? true,
      changed: ({ healthy, reason }) => void this.changes.push(`${healthy} ${reason}`),
      checked: (verdict, ms) => {
        this.took.push(ms);
        this.#verdict.resolve(verdict);
      },
    });
  }

  /** Moves time to the next check, which is under way then. */
  async begin(): Promise<void> {
    this.#verdict = Promise.withResolvers();
    await this.clock.advance(this.#next - this.clock.monotonic());
    this.#next += this.config.interval;
  }

  /** What the check that is under way finds. */
  async verdict(): Promise<string> {
    const { healthy, reason } = await this.#verdict.promise;
    return `${healthy} ${reason}`;
  }

  /** The next check, from its beginning to its end; no time passes in it. */
  async next(): Promise<string> {
    await this.begin();
    return await this.verdict();
  }

  /** The next check, which is to hang: `reached` answers once it has got as far as it gets. */
  async nextHanging(reached: () => Promise<unknown>): Promise<string> {
    await this.begin();
    await reached();
    await this.clock.advance(this.config.timeout);
    return await this.verdict();
  }

  [Symbol.dispose](): void {
    this.check.close();
  }
}

/** Starts a check of a target on the loopback. */
export const watch = (settings: WatchSettings): Watch => new Watch(settings);
