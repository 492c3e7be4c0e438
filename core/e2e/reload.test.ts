import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Binary, type LogLine, startBinary } from "./binary.ts";

/* Broken reloads of the compiled binary, each healed by a good one. */

const config = (body: string, pipeline = "shout"): string => `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
plugins: { shout: ./shout.ts }
routes:
  - { match: { path: /* }, pipeline: [${pipeline}], respond: { status: 200, body: ${body} } }
`;

const plugin = (word: string): string => `import { definePlugin } from "sluice/plugin";
import { z } from "zod";
export default definePlugin({
  apiVersion: 1, name: "shout", description: "Shouts.", schema: z.strictObject({}),
  setup: () => ({ async handle(c, next) { await next(); c.header("x-shout", "${word}"); } }),
});
`;

let gateway: Binary;
beforeAll(async () => {
  gateway = await startBinary(config("first"), { "shout.ts": plugin("ONE") });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const answer = async (): Promise<string> => {
  const response = await fetch(`http://${gateway.listener()}/`);
  return `${response.status} ${await response.text()} ${response.headers.get("x-shout")}`;
};

interface Health {
  /** Null before the first. */
  readonly reload: {
    readonly ok: boolean;
    readonly generation: number;
    readonly errors?: readonly string[];
  } | null;
}
const health = async (): Promise<Health["reload"]> =>
  ((await (await fetch(`${gateway.admin}/health`)).json()) as Health).reload;

/** What the log says of the reload that `change` brings about. */
async function reloadBy(change: () => void): Promise<LogLine> {
  const from = gateway.lines.length;
  change();
  return await gateway.line(({ msg }) => msg === "reloaded" || msg === "reload rejected", from);
}

/** Writes a file beside the configuration and sends SIGHUP before the file watcher looks. */
const bySignal = (name: string, content: string) => (): void => {
  gateway.write(name, content);
  gateway.signal("SIGHUP");
};

const byFile = (name: string, content: string) => (): void => gateway.write(name, content);

test.each([
  ["SIGHUP", bySignal],
  ["file change", byFile],
])(
  "by %s: the old configuration serves on, log and /health say why, a good one heals",
  async (trigger, by) => {
    const before = await answer();
    const generation = (await health())?.generation ?? 1;

    const rejected = await reloadBy(by("sluice.yaml", config("broken", "shuot")));
    const errors = [
      'sluice.yaml:6:39: routes[0].pipeline[0]: unknown plugin "shuot" (did you mean "shout"?)',
    ];
    expect(rejected).toMatchObject({ level: "error", msg: "reload rejected", trigger, generation, errors });
    expect(await health()).toMatchObject({ ok: false, errors });
    expect((await fetch(`${gateway.admin}/readyz`)).status).toBe(200);
    expect(await answer()).toBe(before);

    const healed = await reloadBy(by("sluice.yaml", config(trigger === "SIGHUP" ? "second" : "third")));
    expect(healed).toMatchObject({ level: "info", msg: "reloaded", trigger, generation: generation + 1 });
    expect(await health()).toMatchObject({ ok: true });
    expect((await health())?.errors ?? []).toEqual([]);
    expect(await answer()).toBe(`200 ${trigger === "SIGHUP" ? "second" : "third"} ONE`);
  },
);

test("a plugin's file that breaks, and is mended", async () => {
  const rejected = await reloadBy(byFile("shout.ts", "export default {"));
  expect(rejected).toMatchObject({ msg: "reload rejected", trigger: "file change" });
  expect(String(rejected["errors"])).toMatch(/sluice\.yaml:4:19: plugins\.shout: .*\/shout\.ts:1:/);
  expect(await answer()).toEndWith("ONE");
  const healed = await reloadBy(byFile("shout.ts", plugin("TWO")));
  expect(healed).toMatchObject({ msg: "reloaded", trigger: "file change" });
  expect(await answer()).toEndWith("TWO");
});

test("a file that is gone, and comes back", async () => {
  const text = config("back");
  const rejected = await reloadBy(bySignal("sluice.yaml", ""));
  expect(rejected["msg"]).toBe("reload rejected");
  expect(await answer()).toStartWith("200 ");
  expect(await reloadBy(bySignal("sluice.yaml", text))).toMatchObject({ msg: "reloaded" });
  expect(await answer()).toBe("200 back TWO");
});

test("an address that is in use: rejected as a whole, the other new things with it", async () => {
  using other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const taken = config("taken").replace(
    "listeners: [",
    `listeners: [{ address: "127.0.0.1:${other.port}" }, `,
  );
  const rejected = await reloadBy(bySignal("sluice.yaml", taken));
  expect(rejected).toMatchObject({
    msg: "reload rejected",
    errors: [`address 127.0.0.1:${other.port} is already in use`],
  });
  expect(await answer()).toBe("200 back TWO");
});

test("many signals at once end in the last file", async () => {
  const from = gateway.lines.length;
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(gateway.dir, "sluice.yaml"), config(`burst-${i}`));
    gateway.signal("SIGHUP");
  }
  for (;;) {
    const seen = gateway.lines.length;
    if ((await answer()) === "200 burst-19 TWO") break;
    await gateway.line(({ msg }) => msg === "reloaded", seen);
  }
  expect(gateway.lines.slice(from).filter(({ msg }) => msg === "reload rejected")).toEqual([]);
});
