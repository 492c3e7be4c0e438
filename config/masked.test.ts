import { expect, test } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { maskedConfig } from "./masked.ts";
import { check, configOf, filesIn, checkFile } from "./testing/check.ts";
import { standIn, standIns } from "./testing/stand-ins.ts";

const EXAMPLES = join(import.meta.dir, "examples");

test("the token is masked, and the rest reads like the YAML with its defaults", async () => {
  const { config } = await checkFile(join(EXAMPLES, "proxy.yaml"), EXAMPLES);
  const plain = maskedConfig(config!);
  expect(plain).toMatchObject({
    version: 1,
    admin: { address: "127.0.0.1:18081", token: "***" },
    shutdown_timeout: "30s",
    listeners: [{ address: "127.0.0.1:18080", limits: { header_bytes: "64KiB", idle_timeout: "1m15s" } }],
    upstreams: {
      http: { timeouts: { connect: "2s", first_byte: "5s", idle: "30s", request: "none" } },
      pair: {
        retries: { attempts: 2, on: ["connect", "reset", "503"] },
        health: { path: "/health", fall: 2 },
      },
    },
  });
  expect(JSON.stringify(plain)).not.toContain("test-admin-token");
});

test.each(["behind-haproxy.yaml", "upstreams.yaml"])(
  "of %s it answers one that means the same",
  async (name) => {
    const { config } = await checkFile(join(EXAMPLES, name), EXAMPLES);
    const { lines, config: again } = await check(stringify(maskedConfig(config!)));
    expect(lines).toEqual([]);
    expect(maskedConfig(again!)).toEqual(maskedConfig(config!));
  },
);

test("no secret is left, wherever it went", async () => {
  const options = z.strictObject({
    api_key: z.string(),
    nested: z.strictObject({
      password: z.string(),
      keys: z.array(z.strictObject({ id: z.string(), hash: z.string() })),
    }),
    note: z.string(),
    url: z.string(),
    made: z.string().transform((text) => new Map([["x", `made of ${text}`]])),
    max_tokens: z.number(),
    credentials: z.boolean(),
    pattern: z.string().transform((text) => new RegExp(text)),
  });
  await using directory = await filesIn({ "token.txt": "FROM-A-FILE\n" });
  const config = await configOf(
    `version: 1
routes:
  - pipeline:
      - headers: { request: { set: { authorization: "Bearer LITERAL-BEARER", x-plain: "\${PLAIN}", x-file: "\${file:${directory.path}/token.txt}" } } }
      - secretive:
          api_key: \${KEY}
          nested: { password: LITERAL-PASSWORD, keys: [{ id: LITERAL-ID, hash: LITERAL-HASH }] }
          note: see \${file:${directory.path}/token.txt}!
          url: redis://me:LITERAL-USERINFO@host/0
          made: \${file:${directory.path}/token.txt}
          max_tokens: 5
          credentials: true
          pattern: a+
    respond: {}
`,
    { env: { KEY: "FROM-ENV", PLAIN: "visible" }, plugins: [...standIns, standIn("secretive", options)] },
  );
  const plain = maskedConfig(config) as { routes: { pipeline: Record<string, unknown>[] }[] };
  const text = JSON.stringify(plain);
  for (const secret of ["FROM-", "LITERAL-"]) expect(text).not.toContain(secret);
  expect(text).toContain('"x-plain":"visible"');
  expect(plain.routes[0]?.pipeline[1]?.["secretive"]).toEqual({
    api_key: "***",
    nested: { password: "***", keys: [{ id: "***", hash: "***" }] },
    note: "***",
    url: "redis://***@host/0",
    made: { x: "***" },
    max_tokens: 5,
    credentials: true,
    pattern: "a+",
  });
});

test("what a plugin's schema made may be anything", async () => {
  const strange = z.strictObject({}).transform(() => {
    const loop: Record<string, unknown> = {
      when: new Date(0),
      set: new Set([1]),
      call: () => 1,
      big: 5n,
      nothing: undefined,
    };
    loop["self"] = loop;
    loop["made"] = new URLSearchParams("a=1");
    return loop;
  });
  const config = await configOf(`version: 1\nroutes: [{ pipeline: [odd], respond: {} }]\n`, {
    plugins: [standIn("odd", strange)],
  });
  const text = JSON.stringify(maskedConfig(config));
  expect(text).toContain('"when":"1970-01-01T00:00:00.000Z","set":[1],"big":5,"self":');
  expect(text).toContain('"made":"(URLSearchParams)"');
});
