import type { Sample } from "../metric.ts";
import type { Target } from "../scenario.ts";

/** What a load did, as its generator saw it. */
export interface Done {
  readonly requests: number;
  /** That the load lasted. */
  readonly seconds: number;
  readonly command: string;
}

export interface Costs<D> {
  readonly done: D;
  /** CPU seconds that the contender used meanwhile; NaN where the origin itself was asked. */
  readonly cpuSeconds: number;
}

/** Milliseconds in which a runtime does what it has put off: collects garbage, writes its log. */
const AFTERWARDS = 150;

/** Runs a load and takes what it cost the target from the target's own accounting. */
export async function costsOf<D>(target: Target, load: () => Promise<D>): Promise<Costs<D>> {
  const before = target.processes?.cpuSeconds() ?? Number.NaN;
  const done = await load();
  await Bun.sleep(AFTERWARDS);
  const after = target.processes?.cpuSeconds() ?? Number.NaN;
  return { done, cpuSeconds: after - before };
}

/** Requests a second, and CPU time a request where there is a contender between. */
export async function throughputOf(
  target: Target,
  load: () => Promise<Done>,
): Promise<{ readonly sample: Sample; readonly command: string }> {
  const { done, cpuSeconds } = await costsOf(target, load);
  const throughput = done.requests / done.seconds;
  return {
    sample: {
      throughput,
      ...(target.processes !== undefined && { cpu: (cpuSeconds * 1e6) / done.requests }),
    },
    command: done.command,
  };
}
