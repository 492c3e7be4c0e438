import { z } from "zod";
import { formatDuration } from "../durations.ts";
import type { BulkheadConfig, PoolConfig, TargetLimits, UpstreamConfig, UpstreamTimeouts } from "../types.ts";
import { count, duration, durationOrNone } from "../values.ts";
import type { Section } from "./section.ts";

/** How long an exchange may take, and how much may be under way at a time. */
export const limitsShape = {
  timeouts: z
    .strictObject({
      connect: durationOrNone().prefault("5s").describe("TCP and TLS together."),
      first_byte: durationOrNone()
        .optional()
        .describe(
          "From the request's end to the answer's head. Default 1m; none for gRPC, whose calls carry deadlines.",
        ),
      idle: durationOrNone().prefault("5m").describe("Between two pieces of the answer."),
      request: durationOrNone().prefault("none").describe("The whole exchange."),
    })
    .prefault({})
    .describe("How long an upstream may take; 504 above it."),
  pool: z
    .strictObject({
      max_connections: count(1).prefault(1024).describe("Connections of a target."),
      idle_timeout: duration().prefault("1m").describe("An unused connection is closed after this."),
      max_age: durationOrNone()
        .prefault("1h")
        .describe(
          "A connection takes no new request after about this, so that what has moved is found again.",
        ),
      max_pending: count(0).prefault(1024).describe("Requests that may wait for a connection; 503 above it."),
    })
    .prefault({})
    .describe("Connections to the targets."),
  limits: z
    .strictObject({
      requests: count(1).optional().describe("Requests under way on one target. Default as many as come."),
      queue: count(0)
        .prefault(1024)
        .describe("Requests that wait while every target has its full number; 503 above it."),
      queue_timeout: duration().prefault("1s").describe("How long one of them waits; then 503."),
    })
    .prefault({})
    .describe("How many requests a target is given at a time."),
  bulkhead: z
    .strictObject({
      concurrency: count(1).describe("Requests of the upstream under way at a time."),
      queue: count(0).prefault(0).describe("Requests that wait for their turn; 503 above it."),
      queue_timeout: duration().prefault("1s").describe("How long one of them waits; then 503."),
    })
    .optional()
    .describe("How many requests the whole upstream is given at a time."),
};

type Value = z.output<z.ZodObject<typeof limitsShape>>;

/** Warns of queues that nothing ever enters. */
export function warnOfLimits(value: Value, upstream: Section): void {
  if (value.limits.requests !== undefined) return;
  for (const key of ["queue", "queue_timeout"]) {
    upstream.mapping("limits")?.at(key)?.warn("is never used without limits.requests");
  }
}

export function timeoutsOf(
  timeouts: Value["timeouts"],
  protocol: UpstreamConfig["protocol"],
): UpstreamTimeouts {
  const { connect, idle, request } = timeouts;
  // A gRPC call carries its own deadline, and a stream may rightly stay silent.
  const fallback = protocol === "grpc" ? undefined : 60_000;
  return { connect, firstByte: "first_byte" in timeouts ? timeouts.first_byte : fallback, idle, request };
}

export function poolOf(pool: Value["pool"]): PoolConfig {
  return {
    maxConnections: pool.max_connections,
    idleTimeout: pool.idle_timeout,
    maxAge: pool.max_age,
    maxPending: pool.max_pending,
  };
}

export function targetLimitsOf({ requests, queue, queue_timeout }: Value["limits"]): TargetLimits {
  return { requests, queue, queueTimeout: queue_timeout };
}

export function bulkheadOf(value: Value["bulkhead"]): BulkheadConfig | undefined {
  if (value === undefined) return undefined;
  return { concurrency: value.concurrency, queue: value.queue, queueTimeout: value.queue_timeout };
}

/** `1m30s`, or `none`. */
export function plainDuration(milliseconds: number | undefined): string {
  return milliseconds === undefined ? "none" : formatDuration(milliseconds);
}

/** All of it in the words of the YAML. */
export function plainLimits({ timeouts, pool, limits, bulkhead }: UpstreamConfig): object {
  const queueOf = ({ queue, queueTimeout }: TargetLimits | BulkheadConfig): object => ({
    queue,
    queue_timeout: formatDuration(queueTimeout),
  });
  return {
    timeouts: {
      connect: plainDuration(timeouts.connect),
      first_byte: plainDuration(timeouts.firstByte),
      idle: plainDuration(timeouts.idle),
      request: plainDuration(timeouts.request),
    },
    pool: {
      max_connections: pool.maxConnections,
      idle_timeout: formatDuration(pool.idleTimeout),
      max_age: plainDuration(pool.maxAge),
      max_pending: pool.maxPending,
    },
    limits: limits.requests === undefined ? undefined : { requests: limits.requests, ...queueOf(limits) },
    bulkhead:
      bulkhead === undefined ? undefined : { concurrency: bulkhead.concurrency, ...queueOf(bulkhead) },
  };
}
