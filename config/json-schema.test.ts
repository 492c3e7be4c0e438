import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { z } from "zod";
import { jsonSchema } from "./index.ts";
import { standIn, standIns } from "./testing/stand-ins.ts";
import { TOP_LEVEL } from "./validate.ts";

const schema = jsonSchema(standIns);
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(schema);
const accepts = (yaml: string): boolean => validate(parse(yaml));

const EXAMPLES = join(import.meta.dir, "examples");
const BROKEN = join(import.meta.dir, "broken");

test.each(["proxy.yaml", "behind-haproxy.yaml", "plugin.yaml", "upstreams.yaml"])(
  "accepts the example %s",
  (name) => {
    expect(accepts(readFileSync(join(EXAMPLES, name), "utf8"))).toBe(true);
  },
);

test.each(["cache.yaml", "edge.yaml", "inference.yaml", "llm.yaml"])(
  "refuses the example %s for what is not built",
  (name) => {
    expect(accepts(readFileSync(join(EXAMPLES, name), "utf8"))).toBe(false);
  },
);

test.each(readdirSync(join(BROKEN, "suspicious")).filter((name) => name.endsWith(".yaml")))(
  "accepts %s, which is valid",
  (name) => {
    expect(accepts(readFileSync(join(BROKEN, "suspicious", name), "utf8"))).toBe(true);
  },
);

/** Wrong in shape, as far as one value alone can tell. */
const SHAPE =
  /^(top-(un|work|tele|prices|version-w|shutdown-timeout-(number|text|list))|listener-(unknown|limits|protocols|probes)|listeners-|admin-(token|nothing)|log-|plugin-not|upstream-(url|without|targets|kind|protocol|balance|timeouts|pool|api-key|target-(weight|records|priority)|hash|shares|slow|limits|bulkhead|dns\.|health-(false|grpc-values|request|status|values)|outlier(-on)?\.|retries(-values|-grpc-code-form)?\.|hedge|circuit-breaker(-key)?\.)|upstreams-|pipelines-|pipeline-not|step-(planned|keys|without|options-(unknown|wrong))|steps-|route-(not|unknown-key|name\.)|routes-(empty|mapping)|match-(path-(slash|query|list)|unknown|query|header\.)|respond-(status|body-number)|redirect-)/;

test.each(readdirSync(BROKEN).filter((name) => SHAPE.test(name)))("refuses %s", (name) => {
  expect(accepts(readFileSync(join(BROKEN, name), "utf8"))).toBe(false);
});

test("interpolation may stand wherever a single value is restricted", () => {
  const yaml = `
version: 1
shutdown_timeout: "\${GRACE:-5s}"
admin: { address: "\${ADMIN}", token: "\${file:/run/token}" }
log: { level: "\${LEVEL:-info}", access: "\${ACCESS}" }
listeners: [{ address: "127.0.0.1:\${PORT}", proxy_protocol: "\${PROXY}", limits: { header_count: "\${N}", body: "\${SIZE}" } }]
upstreams: { web: { protocol: "\${P}", targets: [{ url: "\${URL}", weight: "\${W}" }], pool: { max_connections: "\${N}" }, panic_threshold: "\${S}", hash: [{ cookie: "\${C}" }], health: { tcp: "\${T}" }, hedge: { after: "\${A}", ratio: "\${S}" } } }
routes: [{ respond: { status: "\${STATUS}" } }, { redirect: { to: "\${TO}", status: "\${STATUS}" } }]
pipelines: { edge: [{ headers: {}, on_error: "\${ON_ERROR}", timeout: "\${T}" }] }
`;
  expect(accepts(yaml)).toBe(true);
  expect(accepts(yaml.replace("${N}", "many"))).toBe(false);
  expect(accepts(yaml.replace("${LEVEL:-info}", "loud"))).toBe(false);
});

describe("for editors", () => {
  const document = schema as {
    properties: Record<string, { description?: string }>;
    $schema: string;
    title: string;
  };

  test("it says what it is, and describes every key of the top level that can be used", () => {
    expect(document.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(document.title).toBe("Sluice configuration");
    const usable = TOP_LEVEL.filter((key) => key !== "telemetry" && key !== "prices");
    expect(Object.keys(document.properties).toSorted()).toEqual(usable.toSorted());
    for (const key of usable)
      expect([key, document.properties[key]?.description]).toEqual([key, expect.any(String)]);
  });

  test("every key below has a description as well", () => {
    const missing: string[] = [];
    function visit(node: unknown, path: string): void {
      if (typeof node !== "object" || node === null) return;
      if (Array.isArray(node)) return node.forEach((item, index) => visit(item, `${path}[${index}]`));
      for (const [key, value] of Object.entries(node)) {
        if (key === "properties") {
          for (const [name, property] of Object.entries(value as Record<string, object>)) {
            const described = "description" in property || "$ref" in property;
            if (!described) missing.push(`${path}.${name}`);
          }
        }
        visit(value, `${path}.${key}`);
      }
    }
    visit(schema, "");
    expect(missing).toEqual([]);
  });

  test("a plugin's options take part, with what they refer to", () => {
    const tree: z.ZodType = z.strictObject({
      name: z.enum(["a", "b"]),
      get children() {
        return z.array(tree).optional();
      },
    });
    const check = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(
      jsonSchema([standIn("tree", tree)]),
    );
    const step = (options: unknown): unknown => ({ version: 1, pipelines: { p: [{ tree: options }] } });
    expect(check(step({ name: "a", children: [{ name: "b" }, { name: "${X}" }] }))).toBe(true);
    expect(check(step({ name: "a", children: [{ name: "c" }] }))).toBe(false);
    expect(check(step({ name: "a", kids: [] }))).toBe(false);
  });

  test("it can be made without any plugin", () => {
    const check = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(jsonSchema([]));
    expect(check({ version: 1, pipelines: { p: ["mine", { theirs: { a: 1 } }] } })).toBe(true);
  });
});
