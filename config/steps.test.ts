import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { readDocument } from "./document.ts";
import { check, configOf, filesIn } from "./testing/check.ts";
import { registryOf, standIn, standIns } from "./testing/stand-ins.ts";
import { validateDocument } from "./validate.ts";

const HEAD = "version: 1\nupstreams: { web: { targets: ['http://127.0.0.1:9000'] } }\n";
const withSteps = (steps: string): string =>
  `${HEAD}routes:\n  - name: first\n    pipeline:\n${steps.replaceAll(/^/gm, "      ")}\n    upstream: web\n`;

const limit = standIn(
  "limit",
  z.strictObject({ rate: z.number(), by: z.enum(["ip", "consumer"]).default("ip") }),
);

describe("steps", () => {
  test("pipelines are spliced, nested ones too, and share their steps", async () => {
    const config = await configOf(`${HEAD}pipelines:
  inner: [request-id]
  outer: [{ use: inner }, { headers: {}, id: strip }, security-headers]
routes:
  - { name: a, match: { path: /a }, pipeline: [{ use: outer }, headers], upstream: web }
  - { match: { path: /b }, pipeline: [security-headers, { use: inner }], upstream: web }
`);
    const keys = config.routes.map(({ steps }) => steps.map(({ key }) => key));
    expect(keys).toEqual([
      ["inner[0]", "strip", "outer[2]", "a[1]"],
      ["routes[1][0]", "inner[0]"],
    ]);
    expect(config.routes[0]?.steps[0]).toBe(config.routes[1]?.steps[1]);
  });

  test("a step has its options with defaults, and its own settings", async () => {
    const config = await configOf(
      withSteps(`- limit: { rate: 5 }
  id: mine
  on_error: continue
  timeout: 250ms
  when:
    host: A.example
    method: [post]
    consumer: team-a
    tenant: [a, b]
    protocol: [grpc, connect]
    not: { path: /health, not: { header: { x: true } } }
- request-id:`),
      { plugins: [...standIns, limit] },
    );
    const [step, bare] = config.routes[0]!.steps;
    expect(step).toMatchObject({
      key: "mine",
      id: "mine",
      plugin: "limit",
      options: { rate: 5, by: "ip" },
      onError: "continue",
      timeout: 250,
      when: {
        hosts: ["a.example"],
        path: undefined,
        methods: ["POST"],
        consumers: ["team-a"],
        tenants: ["a", "b"],
        protocols: ["grpc", "connect"],
        not: { path: "/health", not: { headers: [["x", true]], not: undefined } },
      },
    });
    expect(step?.definition).toBe(limit);
    expect(bare).toMatchObject({
      key: "first[1]",
      plugin: "request-id",
      options: {},
      onError: "fail",
      timeout: 10_000,
    });
  });

  test("a step tells where its options stand", async () => {
    const config = await configOf(withSteps(`- limit:\n    rate: 5\n    by: consumer\n- request-id`), {
      plugins: [...standIns, limit],
    });
    const [step, bare] = config.routes[0]!.steps;
    expect(step?.place).toMatchObject({ line: 6, column: 9 });
    expect(step?.placeOf([])).toMatchObject({ line: 6, column: 9 });
    expect(step?.placeOf(["by"])).toMatchObject({ line: 8, column: 15 });
    expect(step?.placeOf(["by", "nothing", 5])).toMatchObject({ line: 8, column: 15 });
    expect(bare?.placeOf(["any"])).toMatchObject({ line: 9, column: 9 });
  });

  test("a route needs no upstream where a step provides candidates", async () => {
    const llm = standIn("chooser", z.strictObject({ upstreams: z.array(z.string()) }), true);
    const yaml = `${HEAD}routes: [{ pipeline: [{ chooser: { upstreams: [web] } }] }]\n`;
    const config = await configOf(yaml, { plugins: [llm] });
    expect(config.routes[0]?.action).toEqual({ kind: "upstream", upstream: undefined });
  });

  test("timeout with options is the plugin of that name, and a step's own timeout otherwise", async () => {
    const timeout = standIn("timeout", z.strictObject({ after: z.string() }));
    const config = await configOf(withSteps("- timeout: { after: 5s }\n- { request-id: {}, timeout: 1s }"), {
      plugins: [...standIns, timeout],
    });
    expect(config.routes[0]?.steps.map(({ plugin, timeout: own }) => [plugin, own])).toEqual([
      ["timeout", 10_000],
      ["request-id", 1_000],
    ]);
  });
});

describe("plugins that did not load", () => {
  const yaml = `${HEAD}plugins: { mine: ./mine.ts }\nroutes: [{ pipeline: [mine], upstream: web }]\n`;

  test("their steps are not reported where the loader says why", async () => {
    await using directory = await filesIn({ "main.yaml": yaml, "mine.ts": "" });
    const document = await readDocument(`${directory.path}/main.yaml`, {});
    const { place } = document.externalPlugins[0]!;
    const found = [{ severity: "error", place, path: "plugins.mine", message: "no default export" }] as const;
    const outcome = validateDocument(document, registryOf(standIns, ["mine"]), found);
    expect("problems" in outcome && outcome.problems.map(({ message }) => message)).toEqual([
      "no default export",
    ]);
  });

  test("a plugin that nobody tried to load does not pass", async () => {
    const { lines } = await check({ "main.yaml": yaml, "mine.ts": "" });
    expect(lines).toEqual(['main.yaml:4:23: routes[0].pipeline[0]: plugin "mine" was not loaded']);
  });

  test("a name that is far from all gets the list of those there are", async () => {
    const { lines } = await check(withSteps("- something-else"));
    expect(lines).toEqual([
      'main.yaml:6:9: routes[0].pipeline[0]: unknown plugin "something-else", expected one of "headers", "request-id", "security-headers"',
    ]);
  });
});

test("an order that is almost surely a mistake is warned of", async () => {
  const plugins = ["cache", "auth", "compress", "cors"].map((name) => standIn(name, z.strictObject({})));
  const counting = standIn("rate-limit", z.strictObject({ by: z.string() }));
  const steps =
    "- { rate-limit: { by: consumer } }\n- { rate-limit: { by: ip } }\n- cache\n- auth\n- compress\n- cors";
  const { lines } = await check(withSteps(steps), { plugins: [...plugins, counting] });
  expect(lines).toEqual([
    "main.yaml:6:9: warning: routes[0].pipeline: rate-limit stands above auth: nobody is known yet, so that everybody is counted by address",
    "main.yaml:8:9: warning: routes[0].pipeline: cache stands above auth: stored answers go out before anybody asked who is calling",
    "main.yaml:8:9: warning: routes[0].pipeline: cache stands above compress: answers are stored compressed, for whatever encoding came first",
    "main.yaml:9:9: warning: routes[0].pipeline: auth stands above cors: preflights carry no credential and are refused",
  ]);
});
