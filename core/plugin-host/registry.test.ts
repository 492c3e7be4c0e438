import { describe, expect, test } from "bun:test";
import type { Context } from "hono";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type AnyPlugin,
  ConfigError,
  definePlugin,
  EXCHANGE,
  isPluginDefinition,
  type PluginInstance,
  SluiceError,
} from "sluice/plugin";
import { createTestServices } from "sluice/testing";
import { z } from "zod";
import { originOf } from "./attribution.ts";
import { createRegistry } from "./registry.ts";

function plugin(name: string, setup: () => unknown = () => ({ handle: () => undefined })): AnyPlugin {
  return definePlugin({
    apiVersion: 1,
    name,
    description: "For a test.",
    schema: z.strictObject({}),
    setup: setup as () => PluginInstance,
  });
}

describe("names", () => {
  test("built-in plugins and a configuration's own are found alike", () => {
    const registry = createRegistry([plugin("headers"), plugin("cache")]);
    expect(registry.add("shout", plugin("shout"))).toEqual([]);
    expect(registry.names).toEqual(["cache", "headers", "shout"]);
    expect(registry.get("headers")?.name).toBe("headers");
    expect(isPluginDefinition(registry.get("shout"))).toBe(true);
    expect(registry.get("nope")).toBeUndefined();
    expect([registry.isExternal("shout"), registry.isExternal("headers")]).toEqual([true, false]);
  });

  test("a built-in plugin cannot be replaced", () => {
    const registry = createRegistry([plugin("headers")]);
    expect(() => registry.add("headers", plugin("headers"))).toThrow(
      "headers is a built-in plugin; give yours another name",
    );
  });

  test("a name is given once", () => {
    const registry = createRegistry([]);
    registry.add("shout", plugin("shout"));
    expect(() => registry.add("shout", plugin("shout"))).toThrow("there are two plugins called shout");
    expect(() => createRegistry([plugin("a"), plugin("a")])).toThrow('two built-in plugins are called "a"');
  });

  test("the name in YAML counts, and a different one in the file is worth a warning", () => {
    const registry = createRegistry([]);
    expect(registry.add("loud", plugin("shout"))).toEqual(["the plugin calls itself shout; here it is loud"]);
    expect(registry.get("loud")?.name).toBe("loud");
    expect(registry.get("shout")).toBeUndefined();
  });

  test("a plugin that does not load keeps its name", () => {
    const registry = createRegistry([plugin("headers")]);
    registry.addBroken("shout");
    expect(registry.names).toEqual(["headers", "shout"]);
    expect([registry.isBroken("shout"), registry.isBroken("headers")]).toEqual([true, false]);
    expect(registry.get("shout")).toBeUndefined();
  });
});

describe("a third party's plugin", () => {
  const services = createTestServices({ step: "edge[0]" });
  const contextOf = (exchange: object): Context => ({ [EXCHANGE]: exchange }) as unknown as Context;

  async function setUp(answer: () => unknown): Promise<PluginInstance> {
    const registry = createRegistry([]);
    registry.add("theirs", plugin("theirs", answer));
    return registry.get("theirs")!.setup({}, services);
  }

  test.each([
    [undefined, "its setup answered undefined; answer { handle }"],
    [() => {}, "its setup answered a function; answer { handle: … } with the middleware in it"],
    [{}, "its setup answered no handle function"],
    [{ handle: () => {}, close: 1 }, "its setup answered a close that is no function"],
  ])("whose setup answers %p is refused", async (answer, message) => {
    expect(await setUp(() => answer).catch((error: unknown) => error)).toEqual(new TypeError(message));
  });

  test("passes on what its setup throws", async () => {
    const refusal = new ConfigError("no such file", ["path"]);
    const setup = (): never => {
      throw refusal;
    };
    expect(await setUp(setup).catch((error: unknown) => error)).toBe(refusal);
  });

  test("keeps the methods of an instance that is a class", async () => {
    class Step {
      closed = 0;
      handle() {
        return Promise.resolve(new Response(String(this.closed)));
      }
      close() {
        this.closed++;
      }
      formatError() {
        return { status: 418 + this.closed };
      }
    }
    const step = new Step();
    const instance = await setUp(() => step);
    await instance.close?.();
    expect(step.closed).toBe(1);
    const answer = (await instance.handle(contextOf({}), async () => {})) as Response;
    expect(await answer.text()).toBe("1");
    expect(instance.formatError?.({} as never, new SluiceError("internal", "x"))).toMatchObject({
      status: 419,
    });
  });

  test("is what failures during its own code are traced to, and not during what follows it", async () => {
    const exchange = {};
    const seen: unknown[] = [];
    const storage = new AsyncLocalStorage<string>();
    const instance = await setUp(() => ({
      async handle(_c: Context, next: () => Promise<void>) {
        seen.push(originOf(undefined));
        await next();
        await Promise.resolve();
        seen.push(originOf(undefined));
      },
    }));
    await storage.run("the gateway's", () =>
      instance.handle(contextOf(exchange), async () => {
        seen.push(originOf(undefined), storage.getStore());
      }),
    );
    const own = { plugin: "theirs", run: { plugin: "theirs", step: "edge[0]", exchange } };
    expect(seen).toEqual([own, undefined, "the gateway's", own]);
    expect(originOf(undefined)).toBeUndefined();
  });
});
