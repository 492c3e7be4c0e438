/** What a scenario may measure. A figure is in the unit that stands here, in samples, files and reports alike. */
export interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  /** Differences below this, in its unit, are nothing to anybody. Infinity for what says nothing of the contender. */
  readonly floor: number;
  /** Whether what the same load costs without a proxy is to be taken off. */
  readonly overDirect?: true;
}

function latency(title: string): Metric {
  return { title, unit: "ms", better: "less", floor: 0.05, overDirect: true };
}

export const METRICS = {
  throughput: { title: "throughput", unit: "req/s", better: "more", floor: 0 },
  cpu: { title: "CPU a request", unit: "µs", better: "less", floor: 0.5 },
  cpuPerEvent: { title: "CPU an event", unit: "µs", better: "less", floor: 0.2 },
  cpuShare: { title: "CPU", unit: "% of a core", better: "less", floor: 0.3 },
  p50: latency("p50"),
  p90: latency("p90"),
  p99: latency("p99"),
  "p99.9": latency("p99.9"),
  firstEventP50: latency("first event p50"),
  firstEventP99: latency("first event p99"),
  eventP50: latency("event delay p50"),
  eventP99: latency("event delay p99"),
  late: { title: "generator late, p99", unit: "ms", better: "less", floor: Infinity },
  start: { title: "start to first answer", unit: "ms", better: "less", floor: 5 },
  idle: { title: "idle memory", unit: "MB", better: "less", floor: 1 },
  perConnection: { title: "memory a connection", unit: "KB", better: "less", floor: 1 },
  perStream: { title: "memory a stream", unit: "KB", better: "less", floor: 1 },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** What one round of a case measured. */
export type Sample = { readonly [metric in MetricName]?: number };

export function metricOf(name: MetricName): Metric {
  return METRICS[name];
}
