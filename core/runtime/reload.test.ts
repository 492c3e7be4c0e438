import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type AnyPlugin, definePlugin } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { z } from "zod";
import { testCertificates } from "../listener/test-certificates.ts";
import { startProblems, testRuntime, yamlOf } from "./test-runtime.ts";

/* A reload takes over whole, or changes nothing. */

/** Answers its word; notes when it is set up and closed; `bad` refuses. */
function wordPlugin(name: string, events: string[]): AnyPlugin {
  return definePlugin({
    ...{ apiVersion: 1, name, description: "A word." },
    schema: z.strictObject({ word: z.string() }),
    setup({ word }, { keep }) {
      if (word === "bad") throw new Error("a bad word");
      events.push(`${name} ${word} made`);
      const kept = keep(
        "count",
        () => {
          events.push(`${name} kept`);
          return { n: 0 };
        },
        () => void events.push(`${name} kept closed`),
      );
      return {
        async handle(c, next) {
          kept.n++;
          await next();
          c.header(`x-${name}`, `${word} ${kept.n}`);
        },
        close: () => void events.push(`${name} ${word} closed`),
      };
    },
  });
}

const words = (a: string, b: string, action: string, extra = ""): string =>
  yamlOf(`${extra}routes:\n  - pipeline: [{ a: { word: ${a} } }, { b: { word: ${b} } }]\n    ${action}\n`);

test("running requests finish on the old configuration; its steps are closed behind the last of them, in reverse", async () => {
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("old");
  });
  const extra = `upstreams: { app: { targets: ["${upstream.url}"] } }\n`;
  const plugins = [wordPlugin("a", events), wordPlugin("b", events)];
  await using gateway = await testRuntime(words("one", "one", "upstream: app", extra), { plugins });
  const running = [gateway.fetch("/1"), gateway.fetch("/2")];
  await upstream.received(2);
  events.length = 0;

  expect(await gateway.reload(words("two", "two", "respond: { status: 200, body: new }"))).toMatchObject({
    ...{ ok: true, generation: 2, warnings: [] },
  });
  const fresh = await gateway.fetch("/3");
  expect([await fresh.text(), fresh.headers.get("x-a")]).toEqual(["new", "two 3"]);
  expect(events).toEqual(["a two made", "b two made"]);

  gate.resolve();
  for (const answer of await Promise.all(running))
    expect([await answer.text(), answer.headers.get("x-a")?.slice(0, 3)]).toEqual(["old", "one"]);
  await gateway.request(3);
  await gateway.clock.advance(0);
  expect(events).toEqual(["a two made", "b two made", "b one closed", "a one closed"]);
  await gateway[Symbol.asyncDispose]();
  expect(events.slice(4)).toEqual(["b two closed", "a two closed", "b kept closed", "a kept closed"]);
});

test("a reload that a step refuses leaves the old one as it was, its state too", async () => {
  const events: string[] = [];
  const plugins = [wordPlugin("a", events), wordPlugin("b", events)];
  await using gateway = await testRuntime(words("one", "one", "respond: { status: 200 }"), { plugins });
  await gateway.fetch("/");
  events.length = 0;
  const result = await gateway.reload(words("two", "bad", "respond: { status: 500 }"));
  expect(result).toMatchObject({ ok: false, generation: 1 });
  if (!result.ok) expect(result.errors[0]).toMatch(/sluice\.yaml:5:40: .*plugin "b" refuses .*: a bad word$/);
  expect(events).toEqual(["a two made", "a two closed"]);
  const answer = await gateway.fetch("/");
  expect([answer.status, answer.headers.get("x-a"), answer.headers.get("x-b")]).toEqual([
    200,
    "one 2",
    "one 2",
  ]);
});

test("any defect of the file leaves the old one as it was", async () => {
  await using gateway = await testRuntime(yamlOf("routes: [{ respond: { status: 201 } }]\n"));
  const broken = [
    "",
    "\0",
    "version: 1\nroutes: [",
    "version: 2\n",
    "a: &a [*a]\n",
    "[".repeat(5_000),
    "- 1\n",
  ];
  for (const yaml of broken) {
    expect([yaml.slice(0, 20), (await gateway.reload(yaml)).ok]).toEqual([yaml.slice(0, 20), false]);
    expect((await gateway.fetch("/")).status).toBe(201);
  }
  expect((await gateway.reload(yamlOf("routes: [{ respond: { status: 202 } }]\n"))).ok).toBe(true);
  expect((await gateway.fetch("/")).status).toBe(202);
});

test("reloads that are asked for at once come one after the other", async () => {
  const yaml = yamlOf("routes: [{ respond: { status: 201 } }]\n");
  await using gateway = await testRuntime(yaml);
  const results = await Promise.all([1, 2, 3].map(() => gateway.runtime.reload("test")));
  expect(results.map(({ generation }) => generation)).toEqual([2, 3, 4]);
});

test("a changed file is reloaded when it has come to rest, and one that was broken when it is mended", async () => {
  await using gateway = await testRuntime(yamlOf("routes: [{ respond: { status: 201 } }]\n"));
  const line = (message: string, n: number): Promise<unknown> =>
    gateway.during(gateway.line(() => gateway.lines.filter((one) => one["msg"] === message).length >= n));
  gateway.write("sluice.yaml", yamlOf("routes: [{ respond: { status: 2020 } }]\n"));
  await line("reload rejected", 1);
  gateway.write("sluice.yaml", yamlOf("routes: [{ respond: { status: 202 } }] # mended\n"));
  await line("reloaded", 1);
  expect((await gateway.fetch("/")).status).toBe(202);
});

test("a change during a reload is not lost", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const slow = definePlugin({
    ...{ apiVersion: 1, name: "slow", description: "Is set up when the test says so." },
    schema: z.strictObject({}),
    async setup() {
      begun.resolve();
      await gate.promise;
      return { handle: (_, next) => next() };
    },
  });
  await using gateway = await testRuntime(yamlOf("routes: [{ respond: { status: 201 } }]\n"), {
    plugins: [slow],
  });
  const first = gateway.reload(yamlOf("routes: [{ pipeline: [slow], respond: { status: 202 } }]\n"));
  await begun.promise;
  gateway.write("sluice.yaml", yamlOf("routes: [{ respond: { status: 203 } }] # saved again\n"));
  gate.resolve();
  expect(await first).toMatchObject({ ok: true, generation: 2 });
  await gateway.during(gateway.line((line) => line["msg"] === "reloaded" && line["generation"] === 3));
  expect((await gateway.fetch("/")).status).toBe(203);
});

test("a file that goes bad between check and use is told at the upstream that names it", async () => {
  using certificates = testCertificates();
  const yaml = yamlOf(`upstreams:
  plain: { targets: ["http://127.0.0.1:1"] }
  other: { targets: ["https://127.0.0.1:1"] }
  secure:
    targets: ["https://127.0.0.1:1"]
    tls:
      ca: ./ca.pem
routes: [{ upstream: plain }]
`);
  const files = { "ca.pem": readFileSync(certificates.ca, "utf8") };
  const problems = await startProblems(yaml, { files, loaded: (dir) => rmSync(join(dir, "ca.pem")) });
  expect(problems).toEqual([
    expect.stringMatching(/^10:11: upstreams\.secure\.tls\.ca: .*ca\.pem cannot be read: /) as string,
  ]);
});
