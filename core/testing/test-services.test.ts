import { expect, test } from "bun:test";
import { createTestServices } from "./index.ts";

test("the log keeps its lines", () => {
  const { log } = createTestServices();
  log.warn({ target: "a" }, "slow");
  expect(log.lines).toEqual([{ level: "warn", message: "slow", fields: { target: "a" } }]);
});

test("metrics are read back by name and labels, whatever the labels' order", () => {
  const { metrics } = createTestServices();
  metrics.counter("tries", "Tries.", ["route", "outcome"]).inc({ route: "a", outcome: "ok" });
  metrics.counter("tries", "Tries.", ["route", "outcome"]).inc({ outcome: "ok", route: "a" }, 2);
  metrics.gauge("open", "Open.").set(4);
  metrics.gauge("open", "Open.").inc(-1);
  metrics.histogram("wait", "Wait.").observe(0.25);
  expect(metrics.value("tries", { route: "a", outcome: "ok" })).toBe(3);
  expect(metrics.value("tries")).toBe(0);
  expect(metrics.value("open")).toBe(3);
  expect(metrics.observations("wait")).toEqual([0.25]);
  expect(metrics.names).toEqual(["tries", "open", "wait"]);
});

test("keep shares one value under one key", () => {
  const services = createTestServices();
  const first = services.keep("cache", () => new Map());
  expect(services.keep("cache", () => new Map())).toBe(first);
  expect(services.keep("other", () => new Map())).not.toBe(first);
});

test("an override takes the place of a service", async () => {
  const answers: string[] = [];
  const services = createTestServices({
    fetch: async (input) => {
      answers.push(input instanceof Request ? input.url : input.toString());
      return new Response("from the test");
    },
    step: "mine",
  });
  expect(await (await services.fetch("http://auth.internal/check")).text()).toBe("from the test");
  expect(answers).toEqual(["http://auth.internal/check"]);
  expect(services.step).toBe("mine");
  expect(services.clock.now()).toBe(1_700_000_000_000);
});
