import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fakeUpstream, runPlugin, startPlugin, type TestRequest } from "sluice/testing";
import requestId from "./plugin.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

/** What the upstream saw of a request, and what came back. */
async function send(options: object, request: TestRequest, trustedProxies: readonly string[] = []) {
  await using upstream = await fakeUpstream(
    () => new Response("ok", { headers: { "x-request-id": "the upstream's" } }),
  );
  const answer = await runPlugin(requestId, options, request, { upstream, trustedProxies });
  return { answer, upstream: upstream.requests[0]!.headers };
}

describe("the id", () => {
  test("is made where there is none, and is the same for the upstream and the client", async () => {
    const { answer, upstream } = await send({}, {});
    const id = answer.headers.get("x-request-id");
    expect(id).toMatch(UUID);
    expect(upstream.all("x-request-id")).toEqual([id!]);
  });

  test("is a new one for every request", async () => {
    await using running = await startPlugin(requestId, {});
    const ids = new Set<string | null>();
    for (let i = 0; i < 5; i++) ids.add((await running.request()).headers.get("x-request-id"));
    expect(ids.size).toBe(5);
  });

  test("is the client's where it is acceptable", async () => {
    const { answer, upstream } = await send({}, { headers: { "X-Request-Id": "order-17/a.b~c:d+e=f@g" } });
    expect(answer.headers.get("x-request-id")).toBe("order-17/a.b~c:d+e=f@g");
    expect(upstream.get("x-request-id")).toBe("order-17/a.b~c:d+e=f@g");
  });

  test("may come as x-correlation-id, which stays", async () => {
    const { answer, upstream } = await send({}, { headers: { "x-correlation-id": "c-1" } });
    expect(answer.headers.get("x-request-id")).toBe("c-1");
    expect(upstream.get("x-request-id")).toBe("c-1");
    expect(upstream.get("x-correlation-id")).toBe("c-1");
  });

  test("in x-correlation-id counts where the one in x-request-id is not acceptable", async () => {
    const headers = { "x-request-id": "a b", "x-correlation-id": "c-1" };
    expect((await send({}, { headers })).upstream.all("x-request-id")).toEqual(["c-1"]);
    const both = { "x-request-id": "r-1", "x-correlation-id": "c-1" };
    const { upstream } = await send({}, { headers: both });
    expect([upstream.get("x-request-id"), upstream.get("x-correlation-id")]).toEqual(["r-1", "c-1"]);
  });

  test.each([
    ["blanks", "a b"],
    ["quotes", 'a"b'],
    ["more than 128 characters", "a".repeat(129)],
    ["markup", "<script>"],
    ["bytes that are no ASCII", "\u00e9"],
  ])("is replaced where it has %s", async (_what, id) => {
    const { answer, upstream } = await send({}, { headers: { "x-request-id": id, "x-correlation-id": id } });
    expect(answer.headers.get("x-request-id")).toMatch(UUID);
    expect(upstream.all("x-request-id")).toEqual([answer.headers.get("x-request-id")!]);
    expect(upstream.has("x-correlation-id")).toBe(false);
  });

  test("is nobody's but ours, or a trusted proxy's, where it is so configured", async () => {
    const request = { headers: { "x-request-id": "theirs" } };
    expect((await send({ accept: "nobody" }, request)).answer.headers.get("x-request-id")).toMatch(UUID);
    const proxies = { accept: "trusted-proxies" };
    expect((await send(proxies, request)).answer.headers.get("x-request-id")).toMatch(UUID);
    expect((await send(proxies, request, ["127.0.0.1"])).answer.headers.get("x-request-id")).toBe("theirs");
  });

  test("has the header that is configured, and need not come back", async () => {
    const { answer, upstream } = await send(
      { header: "X-Correlation-Id", echo: false },
      { headers: { "x-correlation-id": "c-1" } },
    );
    expect(upstream.get("x-correlation-id")).toBe("c-1");
    expect(upstream.has("x-request-id")).toBe(false);
    expect(answer.headers.has("x-correlation-id")).toBe(false);
  });

  test("is on the gateway's own errors, in the header and in the body", async () => {
    const upstream = await fakeUpstream(() => new Response("never"));
    await upstream.close();
    const answer = await runPlugin(requestId, {}, { headers: { "x-request-id": "order-17" } }, { upstream });
    expect(answer.status).toBe(502);
    expect(answer.headers.get("x-request-id")).toBe("order-17");
    expect(await answer.json()).toMatchObject({ error: { request_id: "order-17" } });
  });
});

describe("the trace", () => {
  test("is continued with a parent of our own", async () => {
    const { upstream } = await send({}, { headers: { traceparent: PARENT, tracestate: "vendor=1" } });
    expect(upstream.all("traceparent")).toEqual([
      expect.stringMatching(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`)),
    ]);
    expect(upstream.get("traceparent")).not.toBe(PARENT);
    expect(upstream.get("tracestate")).toBe("vendor=1");
  });

  test("keeps the caller's decision not to record", async () => {
    const { upstream } = await send({}, { headers: { traceparent: PARENT.replace(/01$/, "00") } });
    expect(upstream.get("traceparent")).toEndWith("-00");
  });

  test("begins here where there is none, or none that is valid", async () => {
    for (const traceparent of [undefined, PARENT.toUpperCase(), `00-${"0".repeat(32)}-00f067aa0ba902b7-01`]) {
      const { upstream } = await send(
        {},
        { headers: { ...(traceparent && { traceparent }), tracestate: "vendor=1" } },
      );
      expect(upstream.get("traceparent")).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-03$/);
      expect(upstream.get("traceparent")).not.toContain(TRACE);
      expect(upstream.has("tracestate")).toBe(false);
    }
  });

  test("is marked as sampled in the configured share", async () => {
    const share = async (sampled: number): Promise<number> => {
      await using running = await startPlugin(requestId, { sampled });
      for (let i = 0; i < 40; i++) await (await running.request()).text();
      return running.upstream.requests.filter(({ headers }) => headers.get("traceparent")!.endsWith("3"))
        .length;
    };
    expect(await share(0)).toBe(0);
    expect(await share(1)).toBe(40);
    expect(await share(0.5)).toBeWithin(10, 31);
  });

  test("is only continued, or left alone, where it is so configured", async () => {
    const fresh = await send(
      { traceparent: "continue" },
      { headers: { traceparent: "nonsense", tracestate: "a=1" } },
    );
    expect(fresh.upstream.has("traceparent")).toBe(false);
    expect(fresh.upstream.has("tracestate")).toBe(false);
    const continued = await send({ traceparent: "continue" }, { headers: { traceparent: PARENT } });
    expect(continued.upstream.get("traceparent")).toContain(TRACE);
    const left = await send(
      { traceparent: "off" },
      { headers: { traceparent: "nonsense", tracestate: "a=1" } },
    );
    expect(left.upstream.get("traceparent")).toBe("nonsense");
    expect(left.upstream.get("tracestate")).toBe("a=1");
  });

  test("is taken from nobody else than from whom the id is taken", async () => {
    const { upstream } = await send(
      { accept: "nobody" },
      { headers: { traceparent: PARENT, tracestate: "a=1" } },
    );
    expect(upstream.get("traceparent")).not.toContain(TRACE);
    expect(upstream.has("tracestate")).toBe(false);
  });
});

test("the README's example runs", async () => {
  const readme = readFileSync(join(import.meta.dir, "README.md"), "utf8");
  const example = Bun.YAML.parse(/```yaml\n([^]*?)```/.exec(readme)![1]!) as {
    pipeline: [{ "request-id": object }];
  };
  const { answer, upstream } = await send(example.pipeline[0]["request-id"], {
    headers: { "x-request-id": "theirs" },
  });
  expect(answer.headers.get("x-request-id")).toMatch(UUID);
  expect(upstream.get("traceparent")).toMatch(/^00-/);
});
