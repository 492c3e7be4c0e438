import type { Log, Metrics, Services, Upstreams, UpstreamView } from "sluice/plugin";
import { isAbsolute, resolve } from "node:path";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { createSeededRandom } from "./seeded-random.ts";
import { createPolicies } from "../policies/index.ts";
import { plainFetch } from "../services/plain-fetch.ts";

/** One line of a {@link MemoryLog}. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that keeps its lines. */
export interface MemoryLog extends Log {
  readonly lines: readonly LogLine[];
}

/** Metrics that a test can read back. */
export interface MemoryMetrics extends Metrics {
  /**
   * A counter's or gauge's value under exactly these labels; a histogram's number of observations. 0 where
   * nothing was counted yet.
   */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
  /** What was observed under exactly these labels, in order. */
  observations(name: string, labels?: Readonly<Record<string, string>>): readonly number[];
  /** Every metric that was asked for, by name. */
  readonly names: readonly string[];
}

/** The services that a plugin is given in a test, with what a test wants to steer and to read. */
export interface TestServices extends Services {
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly metrics: MemoryMetrics;
}

/**
 * Services for a plugin's `setup`: a clock that stands still, seeded random numbers, a log and metrics that
 * keep what they were told, policies on that clock, the platform's fetch, no upstreams. `overrides` replaces any of them.
 */
export function createTestServices(): TestServices;
export function createTestServices<Overrides extends Partial<Services>>(
  overrides: Overrides & Partial<Services>,
): Omit<TestServices, keyof Overrides> & Overrides;
export function createTestServices(overrides?: Partial<Services>): Services {
  const kept = new Map<string, unknown>();
  const clock = createFakeClock();
  const defaults: TestServices = {
    clock,
    random: createSeededRandom(1),
    log: createMemoryLog(),
    metrics: createMemoryMetrics(),
    upstreams: fixedUpstreams([]),
    policies: createPolicies(overrides?.clock ?? clock),
    fetch: plainFetch,
    step: "test[0]",
    resolvePath: (path) => (isAbsolute(path) ? path : resolve(path)),
    keep<T>(key: string, create: () => T): T {
      if (!kept.has(key)) kept.set(key, create());
      return kept.get(key) as T;
    },
  };
  return { ...defaults, ...overrides };
}

/** A {@link MemoryLog} without lines. */
export function createMemoryLog(): MemoryLog {
  const lines: LogLine[] = [];
  const at = (level: LogLine["level"]) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: { ...fields } });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** {@link MemoryMetrics} in which nothing is counted yet. */
export function createMemoryMetrics(): MemoryMetrics {
  const values = new Map<string, Map<string, number>>();
  const observed = new Map<string, Map<string, number[]>>();

  function add(series: Map<string, number>, labels: Labels, by: number): void {
    const key = labelKey(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  return {
    counter(name) {
      const series = entry(values, name);
      return { inc: (labels, by = 1) => add(series, labels, by) };
    },
    gauge(name) {
      const series = entry(values, name);
      return {
        set: (value, labels) => void series.set(labelKey(labels), value),
        inc: (by = 1, labels) => add(series, labels, by),
      };
    },
    histogram(name) {
      const series = entry(values, name);
      const all = entry(observed, name);
      return {
        observe(value, labels) {
          add(series, labels, 1);
          const key = labelKey(labels);
          const list = all.get(key);
          if (list === undefined) all.set(key, [value]);
          else list.push(value);
        },
      };
    },
    value: (name, labels) => values.get(name)?.get(labelKey(labels)) ?? 0,
    observations: (name, labels) => observed.get(name)?.get(labelKey(labels)) ?? [],
    get names() {
      return [...values.keys()];
    },
  };
}

/** Upstreams that a plugin may look up, and that never change. */
export function fixedUpstreams(views: readonly UpstreamView[]): Upstreams {
  const byName = new Map(views.map((view) => [view.name, view]));
  return { get: (name) => byName.get(name), names: [...byName.keys()], on: () => () => undefined };
}

type Labels = Readonly<Record<string, string>> | undefined;

function labelKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function entry<T>(maps: Map<string, Map<string, T>>, name: string): Map<string, T> {
  let map = maps.get(name);
  if (map === undefined) {
    map = new Map();
    maps.set(name, map);
  }
  return map;
}
