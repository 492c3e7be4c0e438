import { z } from "zod";
import { formatDuration } from "../durations.ts";
import type { Problems } from "../problem.ts";
import { formatShare } from "../shares.ts";
import { formatSize } from "../sizes.ts";
import type { RetriesConfig, UpstreamTimeouts } from "../types.ts";
import { count, duration, durationOrNone, share, size } from "../values.ts";
import { checkGrpcCodes, failureWord, grpcCodesIn } from "./failure-words.ts";
import { plainDuration } from "./limits.ts";
import { methods, warnOfMethods } from "./methods.ts";
import { checkBounds, type Section } from "./section.ts";

export const retriesSchema = z
  .strictObject({
    attempts: count(1, 10).prefault(2).describe("All tries, the first included."),
    on: z.array(failureWord()).min(1).prefault(["connect", "reset"]).describe("What is tried again."),
    methods: methods(0).describe(
      "Methods that may be sent again once a byte of them was sent. Default the idempotent ones; requests of which nothing was sent, or that the target refused unprocessed, may be sent again whatever their method.",
    ),
    per_try_timeout: durationOrNone()
      .prefault("none")
      .describe("How long one try may take until the head of its answer."),
    backoff: z
      .strictObject({
        base: duration().prefault("25ms").describe("Before the second try; doubled for each further one."),
        max: duration().prefault("250ms").describe("The longest pause."),
      })
      .prefault({})
      .describe("The pause before a further try, of which a random part is waited."),
    max_retry_after: duration()
      .prefault("1s")
      .describe("The longest Retry-After that is waited; an answer that asks for more is passed on."),
    max_body: size().prefault("64KiB").describe("Bytes of a request's body that are kept for another try."),
    budget: z
      .strictObject({
        ratio: share().prefault("20%").describe("Share of the window's requests."),
        min: count(0).prefault(10).describe("So many are allowed whatever the share."),
        window: duration().prefault("10s").describe("What is counted over."),
      })
      .prefault({})
      .describe("How many further tries the upstream as a whole may get: the larger of ratio and min."),
  })
  .optional()
  .describe("Further tries, on other targets where there are some, where they are safe.");

type Value = NonNullable<z.output<typeof retriesSchema>>;

export function checkRetries(upstream: Section): void {
  checkGrpcCodes(upstream.mapping("retries")?.at("on"), upstream);
}

/** Reports bounds that contradict each other, and warns of what never comes to pass. */
export function crossCheckRetries(
  value: Value,
  timeouts: UpstreamTimeouts,
  upstream: Section,
  problems: Problems,
): void {
  const retries = upstream.mapping("retries");
  checkBounds(retries?.mapping("backoff"), value.backoff, "base", "max");
  const { request } = timeouts;
  if (value.per_try_timeout !== undefined && request !== undefined && value.per_try_timeout >= request) {
    const all = formatDuration(request);
    retries?.at("per_try_timeout")?.warn(`leaves no time for another try, timeouts.request is ${all}`);
  }
  warnOfMethods(retries, problems);
  if (value.methods.includes("POST")) return;
  for (const item of grpcCodesIn(retries?.at("on"))) {
    item.warn("is never tried again, gRPC calls are POST requests, which methods does not hold");
  }
}

export function retriesOf(value: Value): RetriesConfig {
  const { attempts, on, per_try_timeout, backoff, max_retry_after, max_body, budget } = value;
  return {
    attempts,
    on: [...new Set(on)],
    methods: [...new Set(value.methods)],
    perTryTimeout: per_try_timeout,
    backoff,
    maxRetryAfter: max_retry_after,
    maxBody: max_body,
    budget,
  };
}

/** In the words of the YAML. */
export function plainRetries(retries: RetriesConfig): object {
  const { attempts, on, backoff, budget } = retries;
  return {
    ...{ attempts, on, methods: retries.methods },
    per_try_timeout: plainDuration(retries.perTryTimeout),
    backoff: { base: formatDuration(backoff.base), max: formatDuration(backoff.max) },
    max_retry_after: formatDuration(retries.maxRetryAfter),
    max_body: formatSize(retries.maxBody),
    budget: {
      ratio: formatShare(budget.ratio),
      min: budget.min,
      window: formatDuration(budget.window),
    },
  };
}
