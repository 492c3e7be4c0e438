import { z } from "zod";
import { DURATION_PATTERN, formatDuration, parseDuration } from "../durations.ts";
import type { Problems } from "../problem.ts";
import { Refused, scalar } from "../scalar.ts";
import { formatShare } from "../shares.ts";
import type { HedgeConfig, UpstreamTimeouts } from "../types.ts";
import { count, share } from "../values.ts";
import { methods, warnOfMethods } from "./methods.ts";
import type { Section } from "./section.ts";

/** A time, or a percentile of the latencies as a share. */
const delay = () =>
  scalar(
    "a duration such as 50ms, or a percentile from p50 to p99.9",
    { type: "string", pattern: `${DURATION_PATTERN}|^p[5-9]\\d(\\.\\d)?$` },
    (value): HedgeConfig["after"] | Refused => {
      if (typeof value !== "string") return new Refused();
      const digits = /^p([5-9]\d(?:\.\d)?)$/.exec(value)?.[1];
      if (digits !== undefined) return { percentile: Number(`${digits}e-2`) };
      const ms = parseDuration(value);
      if (ms === 0) return new Refused({ because: "it must be longer than nothing" });
      return ms === undefined ? new Refused() : { ms };
    },
  );

export const hedgeSchema = z
  .strictObject({
    after: delay().describe(
      "How long an answer's head is waited for before the request is sent again: a duration, or a percentile of the recent latencies.",
    ),
    max: count(1, 3).prefault(1).describe("Further requests for one."),
    ratio: share("refused").prefault("10%").describe("Share of the requests that may be sent again."),
    methods: methods(1).describe("Methods of requests that may be sent again. Default the idempotent ones."),
  })
  .optional()
  .describe("Sends requests that take long to a second target as well; the first answer wins.");

type Value = NonNullable<z.output<typeof hedgeSchema>>;

/** Warns of a delay at whose end the request has failed, and of slips in methods. */
export function warnOfHedge(
  { after }: Value,
  timeouts: UpstreamTimeouts,
  upstream: Section,
  problems: Problems,
): void {
  const hedge = upstream.mapping("hedge");
  warnOfMethods(hedge, problems);
  if (!("ms" in after)) return;
  for (const [name, limit] of [
    ["first_byte", timeouts.firstByte],
    ["request", timeouts.request],
  ] as const) {
    if (limit === undefined || after.ms < limit) continue;
    const message = `is never reached, timeouts.${name} is ${formatDuration(limit)}`;
    hedge?.at("after")?.warn(message);
    return;
  }
}

export function hedgeOf({ after, max, ratio, ...value }: Value): HedgeConfig {
  return { after, max, ratio, methods: [...new Set(value.methods)] };
}

/** In the words of the YAML. */
export function plainHedge({ after, max, ratio, ...hedge }: HedgeConfig): object {
  const percentile = "percentile" in after ? Number((after.percentile * 100).toPrecision(12)) : 0;
  return {
    after: "ms" in after ? formatDuration(after.ms) : `p${percentile}`,
    max,
    ratio: formatShare(ratio),
    methods: hedge.methods,
  };
}
