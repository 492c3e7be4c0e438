import { expect, test } from "bun:test";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { type Binary, runBinary, startBinary } from "./binary.ts";
import { type HttpUpstream, startHttpUpstream } from "./http-upstream.ts";

/* Start, reload, drain and stop of the compiled binary. */

const config = (upstream: HttpUpstream, extra = ""): string => `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
shutdown_timeout: 5s
upstreams:
  http: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
${extra}  - { match: { path: /* }, upstream: http }
`;

const reload = async (
  gateway: Binary,
): Promise<{ status: number; body: { ok: boolean; errors?: string[] } }> => {
  // Without a token the API takes no POST, so the file and SIGHUP are the way in these tests.
  const before = gateway.lines.length;
  gateway.signal("SIGHUP");
  const line = await gateway.line((l) => l["msg"] === "reloaded" || l["msg"] === "reload rejected", before);
  return { status: 0, body: { ok: line["msg"] === "reloaded", errors: line["errors"] as string[] } };
};

test("a reload changes routes; a broken one leaves the old running and shows why", async () => {
  await using upstream = startHttpUpstream("http");
  await using gateway = await startBinary(config(upstream));
  const get = (path: string): Promise<Response> => fetch(`http://${gateway.listener()}${path}`);
  expect((await get("/new")).status).toBe(200);

  gateway.write(
    "sluice.yaml",
    config(upstream, "  - { match: { path: /new }, respond: { status: 418, body: tea } }\n"),
  );
  expect((await reload(gateway)).body.ok).toBe(true);
  const tea = await get("/new");
  expect([tea.status, await tea.text()]).toEqual([418, "tea"]);

  gateway.write("sluice.yaml", config(upstream, "  - { match: { path: /new }, upstream: htpt }\n"));
  const rejected = await reload(gateway);
  expect(rejected.body.ok).toBe(false);
  expect(rejected.body.errors?.join("\n")).toMatch(
    /sluice\.yaml:8:\d+: routes\[0\]\.upstream: .*htpt.*did you mean "http"/,
  );
  expect((await get("/new")).status).toBe(418);
  const health = (await (await fetch(`${gateway.admin}/health`)).json()) as {
    reload: { ok: boolean; errors: string[] };
  };
  expect(health.reload.ok).toBe(false);
  expect(health.reload.errors.join("\n")).toContain("htpt");
});

test("a changed file is seen without a signal", async () => {
  await using upstream = startHttpUpstream("http");
  await using gateway = await startBinary(config(upstream));
  gateway.write(
    "sluice.yaml",
    config(upstream, "  - { match: { path: /seen }, respond: { status: 204 } }\n"),
  );
  await gateway.line((line) => line["msg"] === "reloaded");
  expect((await fetch(`http://${gateway.listener()}/seen`)).status).toBe(204);
});

test("POST /config/reload with the token", async () => {
  await using upstream = startHttpUpstream("http");
  const withToken = config(upstream).replace(
    'admin: { address: "127.0.0.1:0" }',
    'admin: { address: "127.0.0.1:0", token: t0ken-for-tests }',
  );
  await using gateway = await startBinary(withToken);
  const post = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${gateway.admin}/config/reload`, { method: "POST", headers });
  expect((await post({})).status).toBe(401);
  expect((await post({ authorization: "Bearer wrong" })).status).toBe(401);
  const done = await post({ authorization: "Bearer t0ken-for-tests" });
  expect(done.status).toBe(200);
  expect(await done.json()).toMatchObject({ ok: true });
  expect(
    await (
      await fetch(`${gateway.admin}/config`, { headers: { authorization: "Bearer t0ken-for-tests" } })
    ).text(),
  ).not.toContain("t0ken");
});

test("a broken configuration: every error, exit 1, nothing listens", async () => {
  using dir = temporaryDir({
    "sluice.yaml": `version: 1
listeners: [{ address: "127.0.0.1:0", proxy_protocl: true }]
upstreams: { http: { targets: ["http://127.0.0.1:1"], timeouts: { connect: fast } } }
routes: [{ match: { path: /* }, upstream: nope }]
`,
  });
  const { code, stdout, stderr } = await runBinary(["run"], dir.path);
  expect(code).toBe(1);
  expect(stderr.trim().split("\n")).toHaveLength(3);
  expect(stdout).not.toContain("listening");
});

/** An upstream whose /slow streams until the test lets it end. */
function slowUpstream(): { upstream: HttpUpstream; finish(): void } {
  const held = Promise.withResolvers<void>();
  const upstream = startHttpUpstream("slow", (request) => {
    if (!request.url.endsWith("/slow")) return undefined;
    const encoder = new TextEncoder();
    return new Response(
      new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(encoder.encode("first\n"));
          await held.promise;
          controller.enqueue(encoder.encode("last\n"));
          controller.close();
        },
      }),
    );
  });
  return { upstream, finish: () => held.resolve() };
}

test("SIGTERM lets a running stream end well, then the process ends with 0", async () => {
  const { upstream, finish } = slowUpstream();
  await using _upstream = upstream;
  await using gateway = await startBinary(config(upstream));
  const answer = await fetch(`http://${gateway.listener()}/slow`);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  gateway.signal("SIGTERM");
  await gateway.line((line) => line["msg"] === "draining");
  expect((await fetch(`${gateway.admin}/readyz`)).status).toBe(503);
  finish();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("last\n");
  expect((await reader.read()).done).toBe(true);
  expect(await gateway.exited).toBe(0);
});

test("a second SIGTERM cuts at once; the cut is counted and shows in the exit code", async () => {
  const { upstream, finish } = slowUpstream();
  await using _upstream = upstream;
  await using gateway = await startBinary(config(upstream));
  const answer = await fetch(`http://${gateway.listener()}/slow`);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  gateway.signal("SIGTERM");
  await gateway.line((line) => line["msg"] === "draining");
  gateway.signal("SIGTERM");
  expect(await gateway.exited).toBe(4);
  // A cut answer is a broken one for the client.
  expect(
    await reader.read().then(
      () => "whole",
      () => "broken",
    ),
  ).toBe("broken");
  expect((await gateway.line((line) => line["msg"] === "stopped"))["cut"]).toBe(1);
  finish();
});
