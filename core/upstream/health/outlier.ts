import type { Clock } from "sluice/plugin";
import type { OutlierConfig } from "../../../config/types.ts";
import { GRPC_CODES } from "../../../config/upstream/grpc-codes.ts";
import { failureMatcher } from "../failure-class.ts";

/** What the detector keeps of a target. It outlives reloads with the target. */
export interface OutlierRecord {
  /** In a row, the last request's included. */
  failures: number;
  /** How often it was ejected of late: so many times longer is the next ejection. */
  ejections: number;
  /** Monotonic milliseconds at which the last ejection ends or has ended. */
  returnedAt: number;
}

/** A target as the detector sees it. */
export interface Ejectable {
  readonly outlier: OutlierRecord;
  readonly ejected: boolean;
  /** Leaves it out for `ms`. It returns by itself. */
  eject(ms: number, reason: string): void;
}

/** Finds the targets of one upstream that fail while they are asked. */
export interface OutlierDetector {
  /** The upstream's targets now, for the cap on the share ejected. */
  update(targets: readonly Ejectable[]): void;
  /** An answer came. @param grpcStatus of a gRPC answer, where it is known. */
  answered(target: Ejectable, status: number, grpcStatus?: number): void;
  /** None came. @param reason of the SluiceError that says why */
  failed(target: Ejectable, reason: string): void;
}

/** A float's error must not cost a target: 100 × 0.29 is a little less than 29. */
const EPSILON = 1e-9;

/**
 * Ejects a target after `consecutiveFailures` in a row, for `baseEjection` the first time, twice that the second, and so
 * on up to `maxEjection`; each `baseEjection` in service without a further ejection takes one off again. No more than
 * `maxEjected` of the targets at a time, or one where there are two; the only target never. Whoever would be one too many
 * stays, and its run starts over. What an ejected target does meanwhile, such as in panic or for requests that were under
 * way, does not count.
 */
export function createOutlierDetector(
  config: OutlierConfig,
  clock: Pick<Clock, "monotonic">,
): OutlierDetector {
  const { consecutiveFailures, baseEjection, maxEjection, maxEjected } = config;
  const matcher = failureMatcher(config.on);
  /** Longer than `maxEjection` it does not become, and what it does not add need not be taken off. */
  const maxMultiplier = Math.max(1, Math.ceil(maxEjection / baseEjection));
  let targets: readonly Ejectable[] = [];

  /** Counts a failure. @returns milliseconds for which the target is to be ejected; 0 where it is not */
  function strike(target: Ejectable): number {
    if (target.ejected) return 0;
    const record = target.outlier;
    if (++record.failures < consecutiveFailures) return 0;
    record.failures = 0;
    if (!mayEject(target)) return 0;
    const now = clock.monotonic();
    const forgiven = Math.floor(Math.max(0, now - record.returnedAt) / baseEjection);
    record.ejections = Math.min(Math.max(0, record.ejections - forgiven) + 1, maxMultiplier);
    const ms = Math.min(baseEjection * record.ejections, maxEjection);
    record.returnedAt = now + ms;
    return ms;
  }

  function mayEject(target: Ejectable): boolean {
    const count = targets.length;
    if (count < 2) return false;
    let ejected = 0;
    // One that has left the upstream since its request began is nobody's concern.
    let known = false;
    for (const other of targets) {
      if (other.ejected) ejected++;
      if (other === target) known = true;
    }
    return known && ejected < Math.max(1, Math.floor(count * maxEjected + EPSILON));
  }

  return {
    update(now) {
      targets = now;
    },
    answered(target, status, grpcStatus) {
      if (matcher.answered(status, grpcStatus)) {
        const ms = strike(target);
        if (ms > 0) target.eject(ms, reasonOf(status, grpcStatus));
      } else if (target.outlier.failures !== 0) target.outlier.failures = 0;
    },
    failed(target, reason) {
      if (!matcher.failed(reason)) return;
      const ms = strike(target);
      if (ms > 0) target.eject(ms, reason);
    },
  };
}

function reasonOf(status: number, grpcStatus: number | undefined): string {
  return grpcStatus === undefined || grpcStatus === 0
    ? `status ${status}`
    : (GRPC_CODES[grpcStatus] ?? `grpc status ${grpcStatus}`);
}
