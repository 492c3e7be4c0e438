import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fakeUpstream, runPlugin, startPlugin, type TestRequest } from "sluice/testing";
import headers from "./plugin.ts";

async function send(options: object, request: TestRequest = {}) {
  await using upstream = await fakeUpstream(() => {
    const answer = new Response("ok", {
      headers: { "x-debug": "1", "cache-control": "max-age=60", "x-up": "a" },
    });
    answer.headers.append("set-cookie", "a=1");
    answer.headers.append("set-cookie", "b=2");
    return answer;
  });
  const answer = await runPlugin(headers, options, request, { upstream });
  return { answer, upstream: upstream.requests[0]!.headers };
}

describe("requests", () => {
  test("are set, added to and removed from before the upstream sees them", async () => {
    const { upstream } = await send(
      {
        request: {
          remove: ["X-Internal-Token", "x-none"],
          set: { "X-Consumer": "gateway", "x-new": "1" },
          add: { "x-tag": "ours" },
        },
      },
      {
        headers: {
          "x-internal-token": "secret",
          "x-consumer": "forged",
          "x-tag": "theirs",
          "x-other": "kept",
        },
      },
    );
    expect(upstream.has("x-internal-token")).toBe(false);
    expect(upstream.all("x-consumer")).toEqual(["gateway"]);
    expect(upstream.get("x-new")).toBe("1");
    expect(upstream.all("x-tag")).toEqual(["theirs", "ours"]);
    expect(upstream.get("x-other")).toBe("kept");
  });

  test("get facts filled in", async () => {
    const { upstream } = await send(
      {
        request: {
          set: {
            "x-from": "{client_address}",
            "x-url": "{method} {scheme}://{header.host-was}{path}",
            "x-route": "{route}",
          },
        },
      },
      { method: "POST", path: "/a/../b%20c?q=1", headers: { "host-was": "shop" }, body: "x" },
    );
    expect(upstream.get("x-from")).toBe("127.0.0.1");
    expect(upstream.get("x-url")).toBe("POST http://shop/b%20c");
    expect(upstream.get("x-route")).toBe("routes[0]");
  });

  test("lose a forged field where there is nothing to say, and get none that is empty", async () => {
    const { upstream } = await send(
      { request: { set: { "x-consumer": "{consumer}" }, add: { "x-tenant": "{tenant}" } } },
      { headers: { "x-consumer": "admin" } },
    );
    expect(upstream.has("x-consumer")).toBe(false);
    expect(upstream.has("x-tenant")).toBe(false);
  });

  test("may name another host to the upstream", async () => {
    const { upstream } = await send({ request: { set: { host: "internal.example" } } });
    expect(upstream.all("host")).toEqual(["internal.example"]);
  });
});

describe("answers", () => {
  test("are set, added to and removed from before the client sees them", async () => {
    const { answer } = await send({
      response: {
        remove: ["x-debug"],
        set: { "Cache-Control": "no-store" },
        add: { "set-cookie": "c=3", "x-served-by": "{route} for {method}" },
      },
    });
    expect(answer.headers.has("x-debug")).toBe(false);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2", "c=3"]);
    expect(answer.headers.get("x-served-by")).toBe("routes[0] for GET");
    expect(answer.headers.get("x-up")).toBe("a");
  });

  test("of the gateway itself are changed like any other", async () => {
    const upstream = await fakeUpstream(() => new Response("never"));
    await upstream.close();
    const answer = await runPlugin(
      headers,
      { response: { set: { "cache-control": "no-store" } } },
      {},
      { upstream },
    );
    expect(answer.status).toBe(502);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });
});

test("the path is the client's both ways, whatever the route makes of it", async () => {
  await using upstream = await fakeUpstream(() => new Response("ok"));
  const answer = await runPlugin(
    headers,
    { request: { set: { "x-path": "{path}" } }, response: { set: { "x-path": "{path}" } } },
    { path: "/pre/a/./b?q=1" },
    { upstream, route: { rewrite: { strip_prefix: "/pre" } } },
  );
  expect(upstream.requests[0]?.target).toBe("/a/b?q=1");
  expect(upstream.requests[0]?.headers.get("x-path")).toBe("/pre/a/b");
  expect(answer.headers.get("x-path")).toBe("/pre/a/b");
});

test("without options nothing changes", async () => {
  const { answer, upstream } = await send({}, { headers: { "x-a": "1" } });
  expect(upstream.get("x-a")).toBe("1");
  expect(answer.headers.get("x-debug")).toBe("1");
});

describe("a configuration is refused", () => {
  test.each([
    [
      { request: { set: { "x-a": "{client_adress}" } } },
      "headers.request.set.x-a: unknown placeholder {client_adress}, did you mean {client_address}?",
    ],
    [
      { response: { add: { "x-a": "caf\u00e9" } } },
      "headers.response.add.x-a: a header value is printable ASCII",
    ],
    [
      { request: { set: { "x-a": "" } } },
      "headers.request.set.x-a: a header value is not empty; use remove to take a field away",
    ],
    [
      { request: { remove: ["Transfer-Encoding"] } },
      "headers.request.remove[0]: Transfer-Encoding belongs to the connection and is written by the gateway",
    ],
    [
      { request: { set: { "content-length": "1" } } },
      "headers.request.set.content-length: content-length belongs to the connection and is written by the gateway",
    ],
    [
      { request: { set: { "X-A": "1", "x-a": "2" } } },
      "headers.request.set.x-a: x-a is the same field as X-A above",
    ],
    [
      { request: { set: { "x-a": 2 } } },
      'headers.request.set.x-a: expected text, got the number 2 (did you mean "2"?)',
    ],
    [{ requests: {} }, 'headers.requests: unknown key "requests" (did you mean "request"?)'],
  ])("%j", async (options, message) => {
    const failure = await startPlugin(headers, options).catch((error: unknown) => error);
    expect(failure).toEqual(new Error(`routes[0].pipeline[0].${message}`));
  });
});

test("the README's example runs", async () => {
  const readme = readFileSync(join(import.meta.dir, "README.md"), "utf8");
  const example = Bun.YAML.parse(/```yaml\n([^]*?)```/.exec(readme)![1]!) as {
    pipeline: [{ headers: object }];
  };
  const { answer, upstream } = await send(example.pipeline[0].headers, {
    path: "/p?q",
    headers: { "x-consumer": "forged", "x-internal-token": "1" },
  });
  expect(upstream.has("x-consumer")).toBe(false);
  expect(upstream.has("x-internal-token")).toBe(false);
  expect(upstream.get("x-original-url")).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/p$/);
  expect(upstream.get("x-via-route")).toBe("routes[0]");
  expect(answer.headers.has("x-debug")).toBe(false);
  expect(JSON.parse(answer.headers.get("report-to")!)).toEqual({
    group: "default",
    endpoints: [{ url: "https://reports.example.com" }],
  });
});
