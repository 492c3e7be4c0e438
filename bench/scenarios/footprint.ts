import { expectBody } from "../harness/check.ts";
import { holdConnections } from "../load/hold.ts";
import { FILL, KB_1, startHttpOrigin } from "../origins/http-origin.ts";
import type { Scenario } from "../scenario.ts";

/** Milliseconds after which a program that has nothing to do has done what it does after its start. */
const SETTLE = 1_000;
const CONNECTIONS = 1_000;
const CASE = "a fresh process";

export const scenario: Scenario = {
  name: "footprint",
  title: "Start and memory",
  about: `A process from its start: the time to its first right answer, its resident memory a second later, and what ${CONNECTIONS.toLocaleString("en")} keep-alive connections add to that which have been answered once and are silent.`,
  service: "http",
  without: ["direct"],
  fresh: true,
  startOrigin: startHttpOrigin,
  check: (port) => expectBody(port, "/1k", KB_1),
  cases: [
    {
      name: CASE,
      async measure({ port, processes, startedIn }) {
        await Bun.sleep(SETTLE);
        const idle = processes!.residentMb();
        const options = { port, path: "/1k", expected: Buffer.alloc(KB_1, FILL) };
        // What the first requests of all cost, whoever they come from.
        (await holdConnections({ ...options, connections: 32 }))[Symbol.dispose]();
        const before = processes!.residentMb();
        using held = await holdConnections({ ...options, connections: CONNECTIONS });
        const after = processes!.residentMb();
        held.check();
        return {
          command: `${CONNECTIONS} connections, bench/load/hold.ts`,
          sample: { start: startedIn, idle, perConnection: ((after - before) * 1024) / CONNECTIONS },
        };
      },
    },
  ],
  aims: [
    { what: "idle memory", unit: "MB", most: 64, value: ({ of }) => of(CASE, "sluice", "idle") },
    { what: "start to first answer", unit: "ms", most: 100, value: ({ of }) => of(CASE, "sluice", "start") },
  ],
};
