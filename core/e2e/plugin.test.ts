import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Binary, startBinary } from "./binary.ts";
import { type HttpUpstream, startHttpUpstream } from "./http-upstream.ts";
import { example, exampleOnPorts } from "./paths.ts";

/*
 * Plugins from TypeScript files on the compiled binary, in a directory with no node_modules above it: the contract's
 * own `shout.ts`, a Hono middleware as it is, and plugins that fail in every way that one process can contain.
 */

const HEAD = `import { definePlugin } from "sluice/plugin";\nimport { z } from "zod";\n`;

const FILES: Readonly<Record<string, string>> = {
  "shout.ts": example("shout.ts"),
  "etag.ts": `${HEAD}import { etag } from "hono/etag";
export default definePlugin({
  apiVersion: 1, name: "etag", description: "Hono's etag.", schema: z.strictObject({}),
  setup: () => ({ handle: etag() }),
});`,
  "throws.ts": `${HEAD}
export default definePlugin({
  apiVersion: 1, name: "throws", description: "Throws.", schema: z.strictObject({ after: z.boolean().default(false) }),
  setup: ({ after }) => ({
    async handle(c, next) {
      if (after) await next();
      throw new Error("secret detail");
    },
  }),
});`,
  "hangs.ts": `${HEAD}
export default definePlugin({
  apiVersion: 1, name: "hangs", description: "Waits forever.", schema: z.strictObject({}),
  setup: () => ({ handle: () => new Promise(() => {}) }),
});`,
  "strays.ts": `${HEAD}
export default definePlugin({
  apiVersion: 1, name: "strays", description: "Rejects where nobody waits.", schema: z.strictObject({}),
  setup: () => ({
    async handle(c, next) {
      void (async () => { await Promise.resolve(); throw new Error("stray"); })();
      await next();
    },
  }),
});`,
};

let gateway: Binary;
let upstream: HttpUpstream;
const open = new AsyncDisposableStack();

beforeAll(async () => {
  // The same body each time for /etag, whatever headers the request had.
  upstream = open.use(
    startHttpUpstream("http", (request) =>
      request.url.endsWith("/etag") ? new Response("constant") : undefined,
    ),
  );
  gateway = await startBinary(
    `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
plugins: { shout: ./shout.ts, etag: ./etag.ts, throws: ./throws.ts, hangs: ./hangs.ts, strays: ./strays.ts }
upstreams:
  http: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { match: { path: /etag }, pipeline: [etag], upstream: http }
  - { match: { path: /throws }, pipeline: [request-id, throws], upstream: http }
  - { match: { path: /throws-after }, pipeline: [{ throws: { after: true } }], upstream: http }
  - { match: { path: /tolerated }, pipeline: [{ throws: {}, on_error: continue }], upstream: http }
  - { match: { path: /hangs }, pipeline: [{ hangs: {}, timeout: 100ms }], upstream: http }
  - { match: { path: /strays }, pipeline: [strays], upstream: http }
  - { match: { path: /strays-tolerated }, pipeline: [{ strays: {}, on_error: continue }], upstream: http }
  - { match: { path: /* }, pipeline: [{ shout: { header: x-shout, word: hello } }], upstream: http }
`,
    FILES,
  );
  open.use(gateway);
});

afterAll(() => open.disposeAsync());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://${gateway.listener()}${path}`, { headers });

interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly reason: string;
    readonly request_id: string;
  };
}

test("plugin.yaml with shout.ts, as they stand", async () => {
  await using own = await startBinary(
    exampleOnPorts("plugin.yaml", { 18080: 0, 18081: 0, 19000: upstream.port }),
    { "shout.ts": example("shout.ts") },
  );
  const answer = await fetch(`http://${own.listener()}/x`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("x-shout")).toBe("HELLO");
});

test("Hono's etag, unchanged", async () => {
  const first = await get("/etag");
  const etag = first.headers.get("etag");
  expect(first.status).toBe(200);
  expect(etag).toMatch(/^(W\/)?"/);
  const again = await get("/etag", { "if-none-match": etag ?? "" });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe("");
});

test.each([
  ["/throws", "plugin_failed"],
  ["/throws-after", "plugin_failed"],
  ["/hangs", "plugin_timeout"],
  ["/strays", "plugin_failed"],
])("%s fails closed with %s, says nothing of its inside, and the process lives", async (path, code) => {
  const answer = await get(path);
  expect(answer.status).toBe(500);
  const { error } = (await answer.json()) as ErrorBody;
  expect(error.code).toBe(code);
  expect(error.request_id).not.toBe("");
  expect(JSON.stringify(error)).not.toContain("secret detail");
  expect((await get("/fine")).status).toBe(200);
});

test.each(["/tolerated", "/strays-tolerated"])(
  "on_error: continue goes on without the step: %s",
  async (path) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(path);
  },
);

test("the metric counts what each did", async () => {
  await Promise.all(["/throws", "/hangs", "/strays"].map(async (path) => (await get(path)).body?.cancel()));
  const text = await (await fetch(`${gateway.admin}/metrics`)).text();
  expect(text).toMatch(/sluice_plugin_failures_total\{plugin="throws",[^}]*kind="error"\} [1-9]/);
  expect(text).toMatch(/sluice_plugin_failures_total\{plugin="hangs",[^}]*kind="timeout"\} [1-9]/);
  expect(text).toMatch(/sluice_plugin_failures_total\{plugin="strays",[^}]*kind="stray"\} [1-9]/);
});
