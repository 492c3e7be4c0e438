import { readdirSync } from "node:fs";
import type { MetricsRegistry } from "./metrics.ts";

/** The process metrics that Prometheus client libraries agree on, read when somebody scrapes. */
export function addProcessMetrics(metrics: MetricsRegistry, startedAt: number): void {
  const one = (value: number) => [{ labels: {}, value }];
  metrics.sampled("counter", "process_cpu_seconds_total", "User and system CPU time in seconds.", () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  });
  metrics.sampled("gauge", "process_resident_memory_bytes", "Resident memory in bytes.", () =>
    one(process.memoryUsage.rss()),
  );
  metrics.sampled("gauge", "process_heap_bytes", "JavaScript heap in use, in bytes.", () =>
    one(process.memoryUsage().heapUsed),
  );
  metrics.sampled("gauge", "process_start_time_seconds", "Start of the process, Unix time.", () =>
    one(startedAt / 1000),
  );
  metrics.sampled("gauge", "process_open_fds", "Open file descriptors.", () => one(openFiles()));
}

function openFiles(): number {
  try {
    return readdirSync(process.platform === "linux" ? "/proc/self/fd" : "/dev/fd").length;
  } catch {
    return 0;
  }
}
