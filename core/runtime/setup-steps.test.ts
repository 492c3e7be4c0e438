import { expect, test } from "bun:test";
import { type AnyPlugin, ConfigError, definePlugin, type PluginInstance, type Services } from "sluice/plugin";
import { z } from "zod";
import { startProblems, testRuntime, yamlOf } from "./test-runtime.ts";

/* Plugins whose setup or close goes wrong, in a gateway that must not care. */

const plugin = (name: string, setup: (services: Services) => unknown): AnyPlugin =>
  definePlugin({
    ...{ apiVersion: 1, name, description: "A plugin of a test." },
    schema: z.strictObject({ word: z.string().default(""), list: z.array(z.string()).default([]) }),
    setup: (_, services) => setup(services) as PluginInstance,
  });

/** Notes in `events` when it is set up and closed. */
const noting = (name: string, events: string[], close?: () => unknown): AnyPlugin =>
  plugin(name, () => {
    events.push(`${name} made`);
    return {
      handle: (_: unknown, next: () => unknown) => next(),
      close() {
        events.push(`${name} closed`);
        return close?.();
      },
    };
  });

const routeWith = (...steps: string[]): string =>
  yamlOf(
    `routes:\n  - respond: { status: 204 }\n    pipeline:\n${steps.map((s) => `      - ${s}\n`).join("")}`,
  );

test("a setup that throws refuses the start at its step, and what stood already is closed", async () => {
  const events: string[] = [];
  const plugins = [
    noting("a", events),
    noting("b", events),
    plugin("bad", () => {
      throw new Error("no such file");
    }),
  ];
  expect(await startProblems(routeWith("a", "b", "bad"), { plugins })).toEqual([
    '9:9: routes[0][2].bad: plugin "bad" refuses its configuration: no such file',
  ]);
  expect(events).toEqual(["a made", "b made", "b closed", "a closed"]);
});

test("a ConfigError stands at the option that it names, and every step's error is told", async () => {
  const refusing = (name: string, path: readonly (string | number)[]): AnyPlugin =>
    plugin(name, () => Promise.reject(new ConfigError(`not ${name}`, path)));
  const plugins = [refusing("one", ["list", 1]), refusing("two", ["word"]), refusing("three", ["nothing"])];
  const yaml = routeWith('one: { list: ["x", "y"] }', "two: { word: z }", "three: { word: z }");
  expect(await startProblems(yaml, { plugins })).toEqual([
    '7:28: routes[0][0].one.list.1: plugin "one" refuses its configuration: not one',
    '8:22: routes[0][1].two.word: plugin "two" refuses its configuration: not two',
    '9:16: routes[0][2].three.nothing: plugin "three" refuses its configuration: not three',
  ]);
});

test("a setup that answers rubbish is refused", async () => {
  for (const rubbish of [undefined, null, {}, { handle: 1 }, () => undefined, "text", Promise.resolve(5)]) {
    const problems = await startProblems(routeWith("odd"), { plugins: [plugin("odd", () => rubbish)] });
    expect(problems).toEqual([
      '7:9: routes[0][0].odd: plugin "odd" refuses its configuration: its setup must answer an object with a `handle` function, as a Hono middleware is',
    ]);
  }
});

test("a setup may throw anything", async () => {
  const strange = new ConfigError("strange");
  Object.defineProperty(strange, "path", { value: "word" });
  for (const thrown of [undefined, null, "text", Symbol("s"), Object.create(null), strange]) {
    const throwing = plugin("odd", () => {
      throw thrown;
    });
    const problems = await startProblems(routeWith("odd"), { plugins: [throwing] });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith('7:9: routes[0][0].odd: plugin "odd" refuses its configuration: ');
  }
});

test("a setup that hangs refuses the reload after 30 s; what comes of it later is closed, once", async () => {
  const events: string[] = [];
  const late = Promise.withResolvers<PluginInstance>();
  await using gateway = await testRuntime(routeWith("fine"), {
    plugins: [noting("fine", events), plugin("slow", () => late.promise)],
  });
  const reload = gateway.reload(routeWith("fine", "slow"));
  let over = false;
  void reload.then(() => (over = true));
  while (events.length < 2) await gateway.clock.advance(0);
  await gateway.clock.advance(29_900);
  expect(over).toBe(false);
  await gateway.clock.advance(200);
  const result = await reload;
  expect(result).toMatchObject({
    ok: false,
    errors: [
      expect.stringContaining('plugin "slow" refuses its configuration: its setup did not end within 30 s'),
    ],
  });
  expect(events).toEqual(["fine made", "fine made", "fine closed"]);
  expect((await gateway.fetch("/")).status).toBe(204);

  late.resolve({
    handle: (_, next) => next(),
    close: () => void events.push("late closed"),
  });
  await gateway.clock.advance(0);
  expect(events).toEqual(["fine made", "fine made", "fine closed", "late closed"]);
});

test("a setup that hangs gives way to a newer reload, and to the end", async () => {
  const hang = plugin("slow", () => new Promise(() => undefined));
  const events: string[] = [];
  await using gateway = await testRuntime(routeWith("fine"), { plugins: [noting("fine", events), hang] });
  const hanging = gateway.reload(routeWith("fine", "slow"));
  while (events.length < 2) await gateway.clock.advance(0);
  const mended = gateway.reload(routeWith("fine"));
  expect(await gateway.during(hanging)).toMatchObject({
    ok: false,
    errors: [expect.stringContaining("its setup had not ended when a newer reload was asked for")],
  });
  // It waits for no time: to move on here would let the watcher ask for a third.
  expect(await mended).toMatchObject({ ok: true });

  const again = gateway.reload(routeWith("fine", "slow"));
  const made = (): number => events.filter((one) => one === "fine made").length;
  const known = made();
  while (made() === known) await gateway.clock.advance(0);
  const before = gateway.clock.monotonic();
  expect(await gateway.during(gateway.runtime.shutdown())).toBe(0);
  expect(gateway.clock.monotonic() - before).toBeLessThan(1_000);
  expect(await again).toMatchObject({ ok: false });
});

test("what comes late may fail, too, and may keep nothing for a configuration that is gone", async () => {
  const kept: unknown[] = [];
  const gate = Promise.withResolvers<void>();
  const slow = plugin("slow", async (services) => {
    await gate.promise;
    try {
      kept.push(services.keep("k", () => "value"));
    } catch (error) {
      kept.push(error);
    }
    return {
      handle: (_: unknown, next: () => unknown) => next(),
      close() {
        throw new Error("cannot close");
      },
    };
  });
  await using gateway = await testRuntime(yamlOf("routes: [{ respond: { status: 204 } }]\n"), {
    plugins: [slow],
  });
  expect((await gateway.during(gateway.reload(routeWith("slow")))).ok).toBe(false);
  gate.resolve();
  const line = await gateway.line((one) => one["msg"] === "a plugin could not be closed");
  expect(line).toMatchObject({ plugin: "slow", err: { message: "cannot close" } });
  expect(String(kept[0])).toContain("asked for after its configuration had gone");
});

test("steps of a named pipeline are set up once for all routes; at the end the last is closed first", async () => {
  const events: string[] = [];
  const yaml = yamlOf(`pipelines: { shared: [a, b] }
routes:
  - { match: { path: /1 }, pipeline: [{ use: shared }, c], respond: { status: 204 } }
  - { match: { path: /2 }, pipeline: [{ use: shared }], respond: { status: 204 } }
`);
  const plugins = ["a", "b", "c"].map((name) => noting(name, events));
  {
    await using gateway = await testRuntime(yaml, { plugins });
    expect((await gateway.fetch("/2")).status).toBe(204);
  }
  expect(events).toEqual(["a made", "b made", "c made", "c closed", "b closed", "a closed"]);
});

test("a close that throws or hangs is told of, and the others have their turn", async () => {
  const events: string[] = [];
  const plugins = [
    noting("a", events),
    noting("hangs", events, () => new Promise(() => undefined)),
    noting("throws", events, () => {
      throw new Error("no");
    }),
  ];
  await using gateway = await testRuntime(routeWith("a", "hangs", "throws"), { plugins });
  expect((await gateway.reload(yamlOf("routes: [{ respond: { status: 200 } }]\n"))).ok).toBe(true);
  await gateway.clock.advance(3_000);
  expect(events.slice(3)).toEqual(["throws closed", "hangs closed", "a closed"]);
  const told = gateway.lines.filter((line) => line["msg"] === "a plugin could not be closed");
  expect(told.map((line) => [line["plugin"], (line["err"] as { message: string }).message])).toEqual([
    ["throws", "no"],
    ["hangs", "its close did not end within 3 s"],
  ]);
});
