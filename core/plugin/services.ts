import type { Policies } from "./policies.ts";
import type { Upstreams } from "./upstreams.ts";

/** Time. Nothing in the gateway or in a plugin reads it from anywhere else. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds, fractional, that only ever grow; for durations. */
  monotonic(): number;
  /** Runs `callback` once after `ms`; the answer cancels it. The timer does not keep the process alive. */
  setTimeout(callback: () => void, ms: number): () => void;
  /** Runs `callback` every `ms`; the answer cancels it. */
  setInterval(callback: () => void, ms: number): () => void;
}

/** Random numbers; seeded in tests. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A version 4 UUID. */
  uuid(): string;
  /** `bytes` random bytes in lower-case hex. */
  hex(bytes: number): string;
}

/** A structured log; fields first as in pino. Values under secret-looking names are masked. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Counter {
  inc(labels?: Readonly<Record<string, string>>, by?: number): void;
}
export interface Gauge {
  set(value: number, labels?: Readonly<Record<string, string>>): void;
  inc(by?: number, labels?: Readonly<Record<string, string>>): void;
}
export interface Histogram {
  observe(value: number, labels?: Readonly<Record<string, string>>): void;
}

/**
 * Prometheus metrics. Names get the prefix `sluice_`. Asking twice for one name gives the same metric. A
 * metric holds at most 1,000 label sets; what comes after that is counted under the value `other`.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Histogram;
}

/** What a plugin is given. It reads time, chance, the network and files through this and nothing else. */
export interface Services {
  readonly clock: Clock;
  readonly random: Random;
  /** Every line carries the plugin's name and its step. */
  readonly log: Log;
  readonly metrics: Metrics;
  readonly upstreams: Upstreams;
  /** Circuit breakers and bulkheads. */
  readonly policies: Policies;
  /** The platform's fetch without its surprises: no redirect is followed, no proxy variable is read. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** The step's stable name: its `id`, else pipeline and index, else route and index. */
  readonly step: string;
  /** A path of the configuration as an absolute one: relative to the file that named it. */
  resolvePath(path: string): string;
  /**
   * State that outlives a reload. The first caller of `key` (within one plugin) creates it, later
   * generations share it, and `close` runs when the last user is gone.
   */
  keep<T>(key: string, create: () => T, close?: (value: T) => void | Promise<void>): T;
}
