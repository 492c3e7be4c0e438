import type { Registry } from "prom-client";
import PromRegistry from "prom-client/lib/registry.js";
import type { Counter, Gauge, Histogram, Metrics } from "sluice/plugin";

/*
 * Metrics whose cells are looked up once and then bumped: prom-client's own counters hash their labels at each
 * call, which costs more than the rest of a request's bookkeeping. prom-client keeps the registry, the text
 * format and the process metrics.
 */

/** What stands for a label set beyond the bound. */
const OTHER = "other";
/** Label sets a metric may have; a stranger must not be able to fill our memory. */
const MAX_CELLS = 1_000;
/** The same where only a configuration makes label sets: 10,000 routes or targets are counted apart. */
export const MAX_CONFIGURED_CELLS = 50_000;
/** Seconds; from a fast hop inside a machine to a slow model. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];
/** Seconds; for time that the gateway itself takes. */
export const OVERHEAD_BUCKETS: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1,
];

/** One label set of a counter or gauge; bump `value` directly. */
export interface Cell {
  value: number;
}

/** One label set of a histogram. */
export class HistogramCell {
  readonly counts: Float64Array;
  sum = 0;
  /** Upper bounds, ascending; the last count has none. */
  readonly bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    this.counts[i]! += 1;
    this.sum += value;
  }
}

type MetricType = "counter" | "gauge" | "histogram";

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
  readonly metricName?: string;
}

/** One illegal name would make the whole text unreadable for whoever scrapes. `le` is a histogram's own. */
const LABEL = /^(?!__|le$)[A-Za-z_][A-Za-z0-9_]*$/;

/** The label sets of one metric, bounded. */
class Family<T> {
  readonly cells = new Map<string, { labels: Record<string, string>; cell: T }>();

  readonly #names: readonly string[];
  readonly #make: () => T;
  readonly #most: number;

  constructor(names: readonly string[], make: () => T, most = MAX_CELLS) {
    for (const name of names)
      if (!LABEL.test(name)) throw new TypeError(`illegal label name ${JSON.stringify(name)}`);
    this.#names = names;
    this.#make = make;
    this.#most = most;
  }

  /** By name: who asks for a metric again may list its labels in another order. */
  named(given: Readonly<Record<string, string>>): T {
    return this.cell(this.#names.map((name) => given[name] ?? ""));
  }

  cell(values: readonly string[]): T {
    const key = values.join("\u0000");
    const found = this.cells.get(key);
    if (found !== undefined) return found.cell;
    if (this.cells.size >= this.#most && values.some((value) => value !== OTHER))
      return this.cell(this.#names.map(() => OTHER));
    const labels: Record<string, string> = {};
    for (const [i, name] of this.#names.entries()) labels[name] = values[i] ?? "";
    const cell = this.#make();
    this.cells.set(key, { labels, cell });
    return cell;
  }
}

/** A counter or gauge whose cells the caller keeps. */
export interface CellFamily {
  /** The cell of these label values, in the order of the label names. */
  cell(...values: string[]): Cell;
}
export interface HistogramFamily {
  cell(...values: string[]): HistogramCell;
}

/** The process's metrics. Names are given without the prefix `sluice_`. */
export interface MetricsRegistry extends Metrics {
  /** @param most label sets it may have. @default 1,000 */
  counterCells(name: string, help: string, labels: readonly string[], most?: number): CellFamily;
  gaugeCells(name: string, help: string, labels: readonly string[]): CellFamily;
  histogramCells(
    name: string,
    help: string,
    labels: readonly string[],
    buckets?: readonly number[],
  ): HistogramFamily;
  /** A gauge or counter read when somebody scrapes; `name` is taken as it is. */
  sampled(kind: "gauge" | "counter", name: string, help: string, read: () => readonly Sample[]): void;
  /** The Prometheus text format, version 0.0.4. */
  text(): Promise<string>;
  /** The sum over all label sets of a counter or gauge; for the admin's summary. */
  total(name: string): number;
  readonly contentType: string;
}

/**
 * A metric by its name. It has a family for each set of label names that was asked for: a plugin that was edited may
 * come back with another set while the old one's numbers stand.
 */
interface Known {
  readonly type: string;
  readonly families: Map<string, Family<Cell> | Family<HistogramCell>>;
}

const NAME = /^[a-z][a-z0-9_]*$/;

export function createMetrics(): MetricsRegistry {
  const registry: Registry = new PromRegistry();
  const families = new Map<string, Known>();

  const values = (
    name: string,
    help: string,
    type: "counter" | "gauge",
    labels: readonly string[],
    most?: number,
  ): Family<Cell> =>
    remembered(
      name,
      { help, type, labels },
      () => new Family<Cell>(labels, () => ({ value: 0 }), most),
      (family) =>
        [...family.cells.values()].map(({ labels: own, cell }) => ({ labels: own, value: cell.value })),
    );

  const histogram = (
    name: string,
    help: string,
    labels: readonly string[],
    buckets: readonly number[] = DURATION_BUCKETS,
  ): Family<HistogramCell> =>
    remembered(
      name,
      { help, type: "histogram", labels },
      () => new Family<HistogramCell>(labels, () => new HistogramCell(buckets)),
      (family) =>
        [...family.cells.values()].flatMap((entry) =>
          histogramSamples(`sluice_${name}`, entry.labels, entry.cell),
        ),
    );

  function remembered<F extends Family<Cell> | Family<HistogramCell>>(
    name: string,
    { help, type, labels }: { help: string; type: MetricType; labels: readonly string[] },
    make: () => F,
    read: (family: F) => Sample[],
  ): F {
    if (!NAME.test(name)) throw new TypeError(`illegal metric name ${JSON.stringify(name)}`);
    const key = labels.toSorted().join(",");
    const known = families.get(name);
    if (known !== undefined && known.type !== type)
      throw new TypeError(`metric ${name} exists already as a ${known.type}`);
    // The types are the same, and one type has one kind of family.
    const found = known?.families.get(key) as F | undefined;
    if (found !== undefined) return found;
    const family = make();
    if (known !== undefined) {
      known.families.set(key, family);
      return family;
    }
    const first: Known = { type, families: new Map([[key, family]]) };
    families.set(name, first);
    register(registry, `sluice_${name}`, help, type, () =>
      [...first.families.values()].flatMap((each) => read(each as F)),
    );
    return family;
  }

  return {
    counter(name, help, labels = []): Counter {
      const family = values(name, help, "counter", labels);
      return {
        inc(given = {}, by = 1) {
          // A counter only grows, and one NaN would stay for ever.
          if (by > 0 && Number.isFinite(by)) family.named(given).value += by;
        },
      };
    },
    gauge(name, help, labels = []): Gauge {
      const family = values(name, help, "gauge", labels);
      return {
        set(value, given = {}) {
          family.named(given).value = value;
        },
        inc(by = 1, given = {}) {
          family.named(given).value += by;
        },
      };
    },
    histogram(name, help, labels = [], buckets): Histogram {
      const family = histogram(name, help, labels, buckets);
      return {
        observe(value, given = {}) {
          if (Number.isFinite(value)) family.named(given).observe(value);
        },
      };
    },
    counterCells(name, help, labels, most) {
      const family = values(name, help, "counter", labels, most);
      return { cell: (...own) => family.cell(own) };
    },
    gaugeCells(name, help, labels) {
      const family = values(name, help, "gauge", labels);
      return { cell: (...own) => family.cell(own) };
    },
    histogramCells(name, help, labels, buckets) {
      const family = histogram(name, help, labels, buckets);
      return { cell: (...own) => family.cell(own) };
    },
    sampled(kind, name, help, read) {
      register(registry, name, help, kind, read);
    },
    text: () => registry.metrics(),
    total(name) {
      let sum = 0;
      const known = families.get(name);
      if (known === undefined) return sum;
      for (const family of known.families.values())
        for (const { cell } of family.cells.values())
          sum += cell instanceof HistogramCell ? count(cell) : cell.value;
      return sum;
    },
    contentType: registry.contentType,
  };
}

function count(cell: HistogramCell): number {
  let all = 0;
  for (const n of cell.counts) all += n;
  return all;
}

function histogramSamples(name: string, labels: Record<string, string>, cell: HistogramCell): Sample[] {
  const { bounds } = cell;
  const samples: Sample[] = [];
  let sum = 0;
  for (const [i, bound] of bounds.entries()) {
    sum += cell.counts[i]!;
    samples.push({ labels: { ...labels, le: String(bound) }, value: sum, metricName: `${name}_bucket` });
  }
  sum += cell.counts[bounds.length]!;
  samples.push({ labels: { ...labels, le: "+Inf" }, value: sum, metricName: `${name}_bucket` });
  samples.push({ labels, value: cell.sum, metricName: `${name}_sum` });
  samples.push({ labels, value: sum, metricName: `${name}_count` });
  return samples;
}

function register(
  registry: Registry,
  name: string,
  help: string,
  type: MetricType,
  read: () => readonly Sample[],
): void {
  // prom-client asks a metric for nothing but this; its classes bring the label hashing that we avoid.
  const metric = {
    name,
    help,
    type,
    aggregator: "sum",
    get: () => Promise.resolve({ name, help, type, aggregator: "sum", values: read() }),
    reset: () => undefined,
  };
  registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
}
