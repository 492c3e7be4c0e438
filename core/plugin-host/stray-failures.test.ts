import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Line 11 is the first `case`.
const PLUGIN = `import { definePlugin, exchangeOf } from "sluice/plugin";
import { z } from "zod";

export default definePlugin({
  apiVersion: 1, name: "stray", description: "Fails where nobody waits.", schema: z.strictObject({}),
  setup: (_, { clock }) => ({
    async handle(c, next) {
      const allInside = new Promise((resolve) => clock.setTimeout(resolve, 1_000));
      const fails = async (how) => { await allInside; return how(); };
      switch (exchangeOf(c).request.path.split("/")[1]) {
        case "constructed": void fails(() => { throw new Error("constructed"); }); break;
        case "subclass": void fails(() => { throw new (class Own extends RangeError {})("subclass"); }); break;
        case "called": void fails(() => Promise.reject(Error("called"))); break;
        case "native": void fails(() => (undefined as any).x); break;
        case "timer": void fails(() => setTimeout(() => { throw new Error("timer"); }, 1)); break;
        case "timer-native": void fails(() => setTimeout(() => (undefined as any).x, 1)); break;
        case "value": void fails(() => Promise.reject("only a text")); break;
        case "timer-value": void fails(() => setTimeout(() => { throw "a text"; }, 1)); break;
      }
      await next();
    },
  }),
});
`;

interface Line {
  readonly plugin?: string;
  readonly message?: string;
  readonly frame?: string;
  readonly request?: string;
  readonly answered?: number;
  readonly status?: number;
  readonly code?: string;
  readonly reason?: string;
}

async function run(...paths: string[]): Promise<{ failures: Line[]; requests: Line[]; code: number }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-stray-"));
  try {
    writeFileSync(join(folder, "stray.ts"), PLUGIN);
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "stray-failures.child.ts"),
        join(folder, "stray.ts"),
        ...paths,
      ],
      { stdout: "pipe", stderr: "inherit" },
    );
    const text = await new Response(child.stdout).text();
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    return {
      failures: lines.filter((line) => line.answered === undefined),
      requests: lines.filter((line) => line.answered !== undefined),
      code: await child.exited,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FAILED = { status: 500, code: "plugin_failed", reason: "stray_rejection" };
const FINE = { status: 200 };

test.each(["constructed", "subclass", "called", "timer", "timer-native", "timer-value"])(
  "a failure (%s) ends its own request among others, and the process lives",
  async (kind) => {
    const { failures, requests, code } = await run("/fine/0", `/${kind}`, "/fine/0");
    expect(code).toBe(0);
    expect(failures).toMatchObject([{ plugin: "stray", request: "1" }]);
    expect(requests).toEqual([
      { answered: 0, ...FINE },
      { answered: 1, ...FAILED },
      { answered: 2, ...FINE },
    ]);
  },
);

test("an error that the runtime throws ends the request that is alone inside the plugin", async () => {
  const { failures, requests } = await run("/native");
  expect(failures).toMatchObject([{ plugin: "stray", request: "0" }]);
  expect(requests).toEqual([{ answered: 0, ...FAILED }]);
});

test("among others it is counted for the plugin, and no request is blamed for it", async () => {
  const { failures, requests, code } = await run("/native", "/fine/0");
  expect(code).toBe(0);
  expect(failures).toHaveLength(1);
  expect(failures[0]!.plugin).toBe("stray");
  expect(failures[0]!.request).toBeUndefined();
  expect(requests).toEqual([
    { answered: 0, ...FINE },
    { answered: 1, ...FINE },
  ]);
});

test("a rejected text carries nothing that tells whose it is", async () => {
  const { failures, requests, code } = await run("/value");
  expect(code).toBe(0);
  expect(failures).toEqual([{ message: "only a text" }]);
  expect(requests).toEqual([{ answered: 0, ...FINE }]);
});

test("stacks name the plugin's file and line", async () => {
  const { failures } = await run("/constructed", "/timer", "/native");
  const frames = Object.fromEntries(failures.map((line) => [line.message?.split(" ")[0], line.frame]));
  expect(frames).toEqual({ constructed: "stray.ts:11", timer: "stray.ts:15", undefined: "stray.ts:14" });
});
