import { z } from "zod";
import { formatDuration } from "../durations.ts";
import { formatShare } from "../shares.ts";
import type { OutlierConfig } from "../types.ts";
import { count, duration, share } from "../values.ts";
import { checkGrpcCodes, failureWord } from "./failure-words.ts";
import { checkBounds, type Section } from "./section.ts";

export const outlierSchema = z
  .strictObject({
    consecutive_failures: count(1, 1000)
      .prefault(5)
      .describe("Failures in a row until a target is left out."),
    on: z
      .array(failureWord())
      .min(1)
      .prefault(["connect", "reset", "timeout", "5xx"])
      .describe("What is a failure."),
    base_ejection: duration()
      .prefault("30s")
      .describe("How long the first ejection lasts; the n-th in a row lasts n times as long."),
    max_ejection: duration().prefault("5m").describe("The longest that an ejection lasts."),
    max_ejected: share()
      .prefault("50%")
      .describe("Share of the targets that may be left out at a time; one always, where there are others."),
  })
  .optional()
  .describe("Leaves out targets whose answers fail. `{}` is all defaults.");

type Value = NonNullable<z.output<typeof outlierSchema>>;

export function checkOutlier(upstream: Section): void {
  checkGrpcCodes(upstream.mapping("outlier")?.at("on"), upstream);
}

/** Reports bounds that hold nothing between them. */
export function checkEjections(value: Value, upstream: Section): void {
  checkBounds(upstream.mapping("outlier"), value, "base_ejection", "max_ejection");
}

export function outlierOf(value: Value): OutlierConfig {
  return {
    consecutiveFailures: value.consecutive_failures,
    on: [...new Set(value.on)],
    baseEjection: value.base_ejection,
    maxEjection: value.max_ejection,
    maxEjected: value.max_ejected,
  };
}

/** In the words of the YAML. */
export function plainOutlier(outlier: OutlierConfig): object {
  return {
    consecutive_failures: outlier.consecutiveFailures,
    on: outlier.on,
    base_ejection: formatDuration(outlier.baseEjection),
    max_ejection: formatDuration(outlier.maxEjection),
    max_ejected: formatShare(outlier.maxEjected),
  };
}
