import { monotonic } from "../../origins/monotonic.ts";
import { arrivalTimes } from "./arrivals.ts";
import { EventBody } from "./event-body.ts";
import { ExactBody } from "./exact-body.ts";
import { runPlan } from "./open-loop.ts";
import { type OpenLoopCommand, requestBytes } from "./options.ts";
import { type Quantiles, quantilesOf } from "./quantiles.ts";

/** What a run prints. Of what was measured: the warm-up is left out, but for its errors. */
export interface OpenLoopReport {
  /** Requests that fell due and were answered right. */
  readonly count: number;
  readonly errors: number;
  readonly firstError?: string;
  /** That were opened. */
  readonly connections: number;
  /** From when a request fell due to the last byte of its answer; absent where there was none. */
  readonly latency?: Quantiles;
  /** By which the generator itself was late: from when a request fell due to when it was sent or queued. */
  readonly lateness?: Quantiles;
  /** From when a stream fell due to the last byte of its first event. */
  readonly firstEvent?: Quantiles;
  /** From when an event was written to its last byte. */
  readonly eventDelay?: Quantiles;
}

/** Does what a command line asks for. */
export async function execute(command: OpenLoopCommand): Promise<OpenLoopReport> {
  const { rate, seconds, warmUpSeconds, seed, status, expected } = command;
  const arrivals = arrivalTimes(rate, warmUpSeconds + seconds, seed);
  const first = Math.round(rate * warmUpSeconds);
  const measured = arrivals.length - first;
  const firstEvents = new Float64Array("events" in expected ? measured : 0);
  const delays = new Float64Array("events" in expected ? measured * expected.events : 0);
  let streams = 0;
  let events = 0;
  const sink = {
    now: monotonic,
    event(seq: number, intended: number, written: number, came: number): void {
      if (seq === 0) firstEvents[streams++] = came - intended;
      delays[events++] = came - written;
    },
  };
  const run = await runPlan({
    port: Number(command.url.port),
    request: requestBytes(command),
    status,
    newBody: () => ("events" in expected ? new EventBody(expected.events, sink) : new ExactBody(expected)),
    arrivals,
    first,
    maxConnections: command.maxConnections,
    patience: command.patienceSeconds * 1_000,
  });
  const answered = run.latencies.filter((latency) => !Number.isNaN(latency));
  return {
    count: answered.length,
    errors: run.errors,
    ...(run.firstError !== undefined && { firstError: run.firstError }),
    connections: run.connections,
    ...(answered.length > 0 && { latency: quantilesOf(answered) }),
    ...(measured > 0 && { lateness: quantilesOf(run.lateness) }),
    ...(streams > 0 && { firstEvent: quantilesOf(firstEvents.subarray(0, streams)) }),
    ...(events > 0 && { eventDelay: quantilesOf(delays.subarray(0, events)) }),
  };
}
