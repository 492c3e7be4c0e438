import type { Clock, Random } from "sluice/plugin";
import type { HealthConfig, TargetConfig } from "../../../config/types.ts";
import type { Transport } from "../transport.ts";
import { grpcProbe } from "./grpc-probe.ts";
import { httpProbe } from "./http-probe.ts";
import type { HealthVerdict, Probe } from "./probe.ts";
import { tcpProbe } from "./tcp-probe.ts";

export type { HealthVerdict } from "./probe.ts";

export interface HealthCheckOptions {
  readonly target: TargetConfig;
  readonly config: HealthConfig;
  /**
   * Opens a transport for the checks alone; they need one connection, kept for longer than the interval. It is closed
   * with the check, and when one has hung, which makes the next check open another. HTTP/2 for gRPC; not called for TCP.
   */
  readonly open: () => Transport;
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
  /** What is known of the target when the check begins: from there `rise` or `fall` counts. */
  readonly healthy: boolean;
  /** Called when the verdict changes, after `fall` failures or `rise` successes in a row. May close the check. */
  changed(verdict: HealthVerdict): void;
  /** Called for every check that ended, before `changed`. */
  checked?(verdict: HealthVerdict, ms: number): void;
}

export interface HealthCheck {
  /** Ends it, and a check that is under way. Nothing is called any more. */
  close(): void;
  /** What the last check found. */
  readonly last: HealthVerdict | undefined;
}

/** By how much the time between two checks differs either way: what started together does not stay so. */
const JITTER = 0.1;

/**
 * Checks a target: for the first time within one interval, at random, and then every interval from start to start, a
 * tenth more or less. One without an answer within `timeout` has failed; the next never begins before the last has ended.
 */
export function startHealthCheck(options: HealthCheckOptions): HealthCheck {
  const { config, clock, random } = options;
  const probe = probeOf(options);
  let { healthy } = options;
  /** Checks in a row that say the opposite of `healthy`. */
  let against = 0;
  let last: HealthVerdict | undefined;
  let closed = false;
  let stopTimer = clock.setTimeout(begin, config.interval * random.next());

  function begin(): void {
    const startedAt = clock.monotonic();
    stopTimer = clock.setTimeout(() => probe.expire(), config.timeout);
    void probe.ask().then((verdict) => end(verdict, startedAt));
  }

  function end(verdict: HealthVerdict, startedAt: number): void {
    if (closed) return;
    stopTimer();
    last = verdict;
    const took = clock.monotonic() - startedAt;
    const period = config.interval * (1 - JITTER + 2 * JITTER * random.next());
    stopTimer = clock.setTimeout(begin, Math.max(0, period - took));
    options.checked?.(verdict, took);
    judge(verdict);
  }

  function judge(verdict: HealthVerdict): void {
    if (verdict.healthy === healthy) {
      against = 0;
      return;
    }
    if (++against < (healthy ? config.fall : config.rise)) return;
    against = 0;
    healthy = verdict.healthy;
    // `checked` may have closed it.
    if (!closed) options.changed(verdict);
  }

  return {
    close() {
      if (closed) return;
      closed = true;
      stopTimer();
      probe.close();
    },
    get last() {
      return last;
    },
  };
}

function probeOf({ target, config, open }: HealthCheckOptions): Probe {
  switch (config.kind) {
    case "http":
      return httpProbe(target, config, open);
    case "grpc":
      return grpcProbe(target, config, open);
    case "tcp":
      return tcpProbe(target);
  }
}
