import { expectEvents } from "../harness/check.ts";
import { holdStreams } from "../load/hold.ts";
import { startSseOrigin } from "../origins/sse-origin.ts";
import type { Scenario } from "../scenario.ts";

const STREAMS = 1_000;
const CASE = `${STREAMS.toLocaleString("en")} open streams`;

export const scenario: Scenario = {
  name: "streams",
  title: "Memory of open event streams",
  about: `What ${STREAMS.toLocaleString("en")} event streams add to a fresh process's resident memory, each open after its first event.`,
  service: "sse",
  without: ["direct"],
  fresh: true,
  startOrigin: startSseOrigin,
  check: (port) => expectEvents(port, "/events?count=3&every=1", 3),
  cases: [
    {
      name: CASE,
      async measure({ port, processes }) {
        // What the first streams of all cost, whoever they come from.
        (await holdStreams({ port, streams: 32 }))[Symbol.dispose]();
        const before = processes!.residentMb();
        using held = await holdStreams({ port, streams: STREAMS });
        const after = processes!.residentMb();
        held.check();
        return {
          command: `${STREAMS} streams, bench/load/hold.ts`,
          sample: { perStream: ((after - before) * 1024) / STREAMS },
        };
      },
    },
  ],
  aims: [
    {
      what: "memory a stream",
      unit: "KB",
      most: 20,
      value: ({ of }) => of(CASE, "sluice", "perStream"),
    },
  ],
};
