import { describe, expect, test } from "bun:test";
import { exchangeOf } from "sluice/plugin";
import { rawUpstream } from "../forward/raw-upstream.ts";
import { type TestGatewayOptions, type StepHandler, type TestGateway, testGateway } from "./test-gateway.ts";

const CALLS = {
  grpc: { "content-type": "application/grpc", "grpc-timeout": "500m" },
  "grpc-web": { "content-type": "application/grpc-web+proto", "grpc-timeout": "500m" },
  connect: {
    "content-type": "application/json",
    "connect-protocol-version": "1",
    "connect-timeout-ms": "500",
  },
  "connect stream": { "content-type": "application/connect+json", "connect-timeout-ms": "500" },
} as const;
type Call = keyof typeof CALLS;
const NAMES = Object.keys(CALLS) as Call[];

function gateOf(steps: readonly StepHandler[], options: TestGatewayOptions = {}): TestGateway {
  return testGateway([{ path: "/s.S/*", steps }], options);
}

/** What the caller is told: gRPC's code, by number or by Connect's name. */
async function toldOf(call: Call, answer: Response): Promise<unknown> {
  if (call === "grpc" || call === "grpc-web") return answer.headers.get("grpc-status");
  const text = await answer.text();
  return (/"code":"(\w+)"/.exec(text) ?? [])[1];
}

const EXCEEDED: Record<Call, string> = {
  grpc: "4",
  "grpc-web": "4",
  connect: "deadline_exceeded",
  "connect stream": "deadline_exceeded",
};

describe.each(NAMES)("the deadline of a %s call", (name) => {
  const call = (gate: TestGateway, more: Record<string, string> = {}) =>
    gate.fetch("/s.S/M", { method: "POST", body: "x", headers: { ...CALLS[name], ...more } });

  test("holds for a step, which hears of it", async () => {
    const aborted = Promise.withResolvers<unknown>();
    using gate = gateOf([
      (c) => {
        const x = exchangeOf(c);
        expect(x.deadline).toBe(x.startedAt + 500);
        x.signal.addEventListener("abort", () => aborted.resolve(x.signal.reason));
        return new Promise(() => {});
      },
    ]);
    const asked = call(gate);
    while (gate.gateway.active === 0) await new Promise((resolve) => setImmediate(resolve));
    await gate.clock.advance(400);
    expect(gate.gateway.active).toBe(1);
    await gate.clock.advance(200);
    expect(await toldOf(name, await asked)).toBe(EXCEEDED[name]);
    expect(await aborted.promise).toMatchObject({ reason: "timeout.deadline" });
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toMatchObject({ reason: "timeout.deadline", owner: "client" });
    expect(gate.retained).toBe(0);
  });

  test("holds for an upstream, which is told what is left of it", async () => {
    using up = rawUpstream([""]);
    using gate = gateOf([], { upstream: up.url });
    const asked = call(gate);
    await up.until("x");
    expect(up.received).toMatch(/(grpc-timeout: 500000u|connect-timeout-ms: 500)\r\n/);
    await gate.clock.advance(600);
    expect(await toldOf(name, await asked)).toBe(EXCEEDED[name]);
    await up.closed();
    await gate.ended(1);
    expect(gate.finished[0]?.failure).toMatchObject({ reason: "timeout.deadline", owner: "upstream" });
  });

  test("may be shortened by a step for the upstream, and not be made longer", async () => {
    for (const [text, told] of [
      ["100", "100"],
      ["90000", "500"],
    ] as const) {
      using up = rawUpstream(["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
      const set: StepHandler = async (c, next) => {
        const { headers } = exchangeOf(c).request;
        if (headers.has("grpc-timeout")) headers.set("grpc-timeout", `${text}m`);
        else headers.set("connect-timeout-ms", text);
        await next();
      };
      using gate = gateOf([set], { upstream: up.url });
      await call(gate);
      expect(up.received).toMatch(new RegExp(`(grpc-timeout: ${told}000u|connect-timeout-ms: ${told})\r\n`));
    }
  });

  test("that cannot be read is refused", async () => {
    using gate = gateOf([]);
    const field = name.startsWith("grpc") ? "grpc-timeout" : "connect-timeout-ms";
    const answer = await call(gate, { [field]: "5 seconds" });
    expect(["3", "invalid_argument"]).toContain(String(await toldOf(name, answer)));
    await gate.ended(1);
    expect(gate.finished[0]?.failure?.code).toBe("bad_request");
  });
});

test("outside of calls there is none", async () => {
  using gate = gateOf([(c) => c.text(String(exchangeOf(c).deadline))]);
  const headers = { "grpc-timeout": "1n", "connect-timeout-ms": "x" };
  expect(await (await gate.fetch("/s.S/M", { headers })).text()).toBe("Infinity");
});
