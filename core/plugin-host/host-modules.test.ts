import { expect, test } from "bun:test";
import { honoExports, honoModulesSource } from "./hono-exports.ts";
import { HOST_MODULE_NAMES, hostModule, prepareHostModules } from "./host-modules.ts";

test("hono-modules.ts names what the installed hono exports", async () => {
  const written = await Bun.file(new URL("hono-modules.ts", import.meta.url)).text();
  expect(written).toBe(honoModulesSource(await honoExports()));
});

test("every host module can be evaluated, and is the host's own", async () => {
  await prepareHostModules(HOST_MODULE_NAMES);
  const { Hono } = await import("hono");
  const { z } = await import("zod");
  expect(hostModule("hono")).toMatchObject({ Hono });
  expect(hostModule("zod")).toMatchObject({ z, default: z });
  expect(Object.keys(hostModule("hono/utils/url"))).toContain("getPath");
  for (const name of HOST_MODULE_NAMES) expect(hostModule(name)).toBeObject();
});

test("another name is refused", () => {
  expect(() => hostModule("left-pad")).toThrow('"left-pad" is not a module of the gateway');
});
