import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTestServices, fakeUpstream, startPlugin } from "sluice/testing";
import { loadExternal } from "./load-external.ts";

/* What core/plugin/README.md shows is run as it stands there. */

const root = join(import.meta.dir, "../..");
const guide = readFileSync(join(root, "core/plugin/README.md"), "utf8");
const [written, middleware, tested, guarded] = [...guide.matchAll(/```ts\n(?<code>[^]*?)```/g)].map(
  ({ groups }) => groups!["code"]!,
);

/** Inside the repository, where the package's own name resolves as for an author who installed it. */
let folder = "";

beforeAll(() => {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  folder = mkdtempSync(join(root, ".tmp/guide-"));
  writeFileSync(join(folder, "api-version.ts"), written!);
  writeFileSync(join(folder, "api-version.test.ts"), tested!);
  writeFileSync(join(folder, "etag.ts"), middleware!);
  writeFileSync(join(folder, "plan.ts"), guarded!);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the guide's plugin does what the guide says", async () => {
  const { definition, release } = await loadExternal(join(folder, "api-version.ts"));
  const options = (/^ {6}- api-version: (?<options>.+)$/m.exec(guide)?.groups ?? {})["options"];
  const services = createTestServices();
  await using running = await startPlugin(definition, Bun.YAML.parse(options!), { services });
  const spoken = await running.request({ headers: { "x-api-version": "2" } });
  expect(spoken.status).toBe(200);
  expect(spoken.headers.get("x-api-version")).toBe("2");
  const refused = await running.request({ headers: { "x-api-version": "3" } });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    error: { reason: "api_version", message: "Send x-api-version: 1 or 2." },
  });
  expect(services.metrics.value("api_version_refused_total")).toBe(1);
  release();
});

test("Hono's middleware is a plugin in three lines", async () => {
  const { definition, release } = await loadExternal(join(folder, "etag.ts"));
  await using upstream = await fakeUpstream(() => new Response("ok"));
  await using running = await startPlugin(definition, {}, { upstream });
  expect((await running.request()).headers.get("etag")).toMatch(/^"/);
  release();
});

test("the guide's policies keep requests from a service that fails", async () => {
  const { definition, release } = await loadExternal(join(folder, "plan.ts"));
  let works = true;
  await using service = await fakeUpstream(() =>
    works ? new Response("gold") : new Response("", { status: 500 }),
  );
  await using upstream = await fakeUpstream(() => new Response("ok"));
  const services = createTestServices();
  await using running = await startPlugin(definition, { url: service.url }, { upstream, services });
  const ask = async () => (await running.request({ headers: { "x-api-key": "k 1" } })).status;
  expect(await ask()).toBe(200);
  expect(service.requests[0]?.target).toBe("/k%201");
  expect(upstream.requests[0]?.headers.get("x-plan")).toBe("gold");
  works = false;
  for (let i = 0; i < 5; i++) expect(await ask()).toBe(500);
  const refused = await running.request();
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("10");
  expect(service.requests).toHaveLength(6);
  works = true;
  await services.clock.advance(10_000);
  expect(await ask()).toBe(200);
  release();
});

test("the guide's tests pass", async () => {
  const child = Bun.spawn([process.execPath, "test", join(folder, "api-version.test.ts")], {
    cwd: folder,
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  expect(await child.exited).toBe(0);
  expect(said).toContain(" 2 pass");
});
