import { costsOf } from "../harness/costs.ts";
import { inTime } from "../harness/latency.ts";
import { runOpenLoopSse } from "../load/open-loop/run-open-loop.ts";
import { startSseOrigin } from "../origins/sse-origin.ts";
import { expectEvents } from "../harness/check.ts";
import type { Scenario } from "../scenario.ts";

/** Streams that begin in a second, events of each, and milliseconds between them: as many streams at a time as a second. */
const RATE = 40;
const EVENTS = 200;
const EVERY = 5;
const PATH = `/events?count=${EVENTS}&every=${EVERY}`;
const CASE = `${RATE} streams at a time`;

export const scenario: Scenario = {
  name: "sse",
  title: "Server-sent events",
  about: `Streams of ${EVENTS} events of about 100 bytes, one every ${EVERY} ms, of which ${RATE} begin each second at fixed times. Every event must come, whole and in order. The first event is counted from the moment its stream fell due, each event from when the origin wrote it.`,
  service: "sse",
  startOrigin: startSseOrigin,
  check: (port) => expectEvents(port, "/events?count=3&every=1", 3),
  warmUp: ({ port }, seconds) =>
    runOpenLoopSse({ port, path: PATH, rate: RATE, seconds, warmUpSeconds: 0, events: EVENTS }),
  cases: [
    {
      name: CASE,
      async measure(target, seconds) {
        const { done, cpuSeconds } = await inTime(() =>
          costsOf(target, () =>
            runOpenLoopSse({
              port: target.port,
              path: PATH,
              rate: RATE,
              seconds: seconds * 2,
              warmUpSeconds: 1,
              events: EVENTS,
            }),
          ),
        );
        const events = (seconds * 2 + 1) * RATE * EVENTS;
        return {
          command: done.command,
          sample: {
            firstEventP50: done.firstEvent.p50,
            firstEventP99: done.firstEvent.p99,
            eventP50: done.eventDelay.p50,
            eventP99: done.eventDelay.p99,
            late: done.lateness.p99,
            ...(target.processes !== undefined && { cpuPerEvent: (cpuSeconds * 1e6) / events }),
          },
        };
      },
    },
  ],
  aims: [
    {
      what: "SSE: time to first event, p99 over direct",
      unit: "ms",
      most: 1,
      value: ({ added }) => added(CASE, "sluice", "firstEventP99"),
    },
  ],
};
