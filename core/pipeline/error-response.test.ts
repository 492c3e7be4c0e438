import { describe, expect, test } from "bun:test";
import { HTTPException } from "hono/http-exception";
import { ERROR_CODES, exchangeOf, HeaderList, SluiceError } from "sluice/plugin";
import { callProtocolOf } from "./call-protocol.ts";
import { rejectionMessage } from "./error-response.ts";
import { connectCodeOf, encodeGrpcMessage, grpcCodeOf } from "./rpc-status.ts";
import { type StepHandler, type TestGateway, testGateway } from "./test-gateway.ts";

const GRPC = { "content-type": "application/grpc+proto" };
const GRPC_WEB = { "content-type": "application/grpc-web+proto" };
const CONNECT = { "content-type": "application/json", "connect-protocol-version": "1" };
const CONNECT_STREAM = { "content-type": "application/connect+proto" };

const refuse: StepHandler = () => {
  throw new SluiceError("unauthenticated", "Wer bist du? 100% ☃", {
    headers: [["www-authenticate", "Bearer"]],
  });
};

function gateOf(step: StepHandler): TestGateway {
  return testGateway([
    { path: "/s.S/*", steps: [step], action: { kind: "respond", status: 200, headers: [], body: "" } },
  ]);
}

async function call(step: StepHandler, headers: Record<string, string>): Promise<Response> {
  using gate = gateOf(step);
  const answer = await gate.fetch("/s.S/M", { method: "POST", body: "x", headers });
  await answer.clone().arrayBuffer();
  return answer;
}

describe("a refusal in the caller's protocol", () => {
  test("HTTP", async () => {
    const answer = await call(refuse, {});
    expect(answer.status).toBe(401);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(await answer.json()).toEqual({
      error: {
        code: "unauthenticated",
        message: "Wer bist du? 100% ☃",
        reason: "unauthenticated",
        request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    });
  });

  test("HTTP, asked by HEAD", async () => {
    using gate = gateOf(refuse);
    const client = await gate.connect("HEAD /s.S/M HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const text = await client.ended();
    expect(text).toStartWith("HTTP/1.1 401");
    expect(text).toMatch(/content-length: 1\d\d/);
    expect(text).toEndWith("\r\n\r\n");
  });

  test("gRPC: Trailers-Only with a percent-encoded message", async () => {
    const answer = await call(refuse, GRPC);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/grpc");
    expect(answer.headers.get("grpc-status")).toBe("16");
    expect(answer.headers.get("grpc-message")).toBe("Wer bist du? 100%25 %E2%98%83");
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(await answer.text()).toBe("");
  });

  test("gRPC-Web: the same in the headers, in the caller's type", async () => {
    const answer = await call(refuse, GRPC_WEB);
    expect(answer.headers.get("content-type")).toBe("application/grpc-web+proto");
    expect(answer.headers.get("grpc-status")).toBe("16");
  });

  test("Connect, unary", async () => {
    const answer = await call(refuse, CONNECT);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toEqual({ code: "unauthenticated", message: "Wer bist du? 100% ☃" });
  });

  test("Connect, streaming: the end of the stream", async () => {
    const answer = await call(refuse, CONNECT_STREAM);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/connect+proto");
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(bytes[0]).toBe(2);
    expect(bytes.readUInt32BE(1)).toBe(bytes.byteLength - 5);
    expect(JSON.parse(bytes.subarray(5).toString())).toEqual({
      error: { code: "unauthenticated", message: "Wer bist du? 100% ☃" },
    });
  });

  test("no route is UNIMPLEMENTED to gRPC and Connect", async () => {
    using gate = gateOf(refuse);
    const grpc = await gate.fetch("/other", { method: "POST", headers: GRPC });
    expect(grpc.headers.get("grpc-status")).toBe("12");
    const connect = await gate.fetch("/other", { method: "POST", headers: CONNECT, body: "{}" });
    expect(connect.status).toBe(501);
    expect(await connect.json()).toMatchObject({ code: "unimplemented" });
    const get = await gate.fetch("/other?connect=v1&encoding=json");
    expect(await get.json()).toMatchObject({ code: "unimplemented" });
  });

  test("a codec's rejection", () => {
    const { headers, body } = rejectionMessage(
      { code: "headers_too_large", reason: "header_bytes", message: "Too much." },
      "id-1",
    );
    expect(headers.get("content-type")).toBe("application/json");
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({
      error: { code: "headers_too_large", message: "Too much.", reason: "header_bytes", request_id: "id-1" },
    });
  });
});

describe("the caller's protocol is what its request said, whatever steps make of the headers", () => {
  const rewrites: StepHandler = async (c, next) => {
    exchangeOf(c).request.headers.set("content-type", "application/grpc");
    c.req.raw.headers.delete("connect-protocol-version");
    return refuse(c, next);
  };

  test.each([
    ["gRPC-Web", GRPC_WEB, "application/grpc-web+proto"],
    ["a Connect stream", CONNECT_STREAM, "application/connect+proto"],
    ["Connect, unary", CONNECT, "application/json"],
  ])("%s", async (_what, headers, type) => {
    const answer = await call(rewrites, headers);
    expect(answer.headers.get("content-type")).toBe(type);
    if (type.startsWith("application/connect")) expect((await answer.bytes())[0]).toBe(2);
  });

  test("also where a plugin answers as ordinary HTTP", async () => {
    const step: StepHandler = (c) => {
      exchangeOf(c).request.headers.set("content-type", "application/json");
      return c.json({ error: { message: "no" } }, 403);
    };
    const answer = await call(step, CONNECT_STREAM);
    expect(answer.headers.get("content-type")).toBe("application/connect+proto");
    expect((await answer.bytes())[0]).toBe(2);
  });
});

describe("a refusal whose text does not come", () => {
  /** A body that says nothing; `cancelled` once nobody waits for it any more. */
  function silent(): { step: StepHandler; cancelled: Promise<void>; asked: Promise<void> } {
    const cancelled = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const step: StepHandler = () =>
      new Response(
        new ReadableStream({
          pull: () => {
            asked.resolve();
            return new Promise(() => {});
          },
          cancel: () => cancelled.resolve(),
        }),
        { status: 403, headers: { "content-type": "text/plain" } },
      );
    return { step, cancelled: cancelled.promise, asked: asked.promise };
  }

  test("goes out without it after a second", async () => {
    const { step, cancelled, asked } = silent();
    using gate = gateOf(step);
    const answer = gate.fetch("/s.S/M", { method: "POST", body: "x", headers: GRPC });
    await asked;
    await gate.clock.advance(1_000);
    expect((await answer).headers.get("grpc-status")).toBe("7");
    await cancelled;
  });

  test("is over when the client leaves, and when the gateway cuts it", async () => {
    const { step, cancelled, asked } = silent();
    using gate = gateOf(step);
    const answer = gate.fetch("/s.S/M", { method: "POST", body: "x", headers: GRPC });
    await asked;
    gate.gateway.cutAll(new SluiceError("draining", "Going."));
    expect((await answer).headers.get("grpc-status")).toBe("7");
    await cancelled;
    await gate.ended(1);
  });
});

describe("an ordinary answer of a plugin to a call", () => {
  const answers: readonly [string, StepHandler, string, string][] = [
    ["text", (c) => c.text("who are you", 401), "16", "who are you"],
    ["error.message", (c) => c.json({ error: { message: "deep" } }, 403), "7", "deep"],
    ["message", (c) => c.json({ message: "flat" }, 429), "8", "flat"],
    ["error", (c) => c.json({ error: "short" }, 422), "3", "short"],
    ["JSON without words", (c) => c.json([1], 503), "14", "HTTP status 503"],
    ["no body", (c) => c.body(null, 404), "12", "HTTP status 404"],
    ["HTML", (c) => c.html("<p>", 500), "13", "HTTP status 500"],
    ["a redirect", (c) => c.redirect("/x"), "2", "HTTP status 302"],
    ["success that is no gRPC", (c) => c.text("fine"), "2", "fine"],
    ["an exception", () => Promise.reject(new HTTPException(408, { message: "slow" })), "4", "slow"],
    ["long text", (c) => c.text("x".repeat(5_000), 400), "3", "x".repeat(1_024)],
    ["endless text", (c) => c.text("x".repeat(50_000), 400), "3", "HTTP status 400"],
  ];
  test.each(answers)("%s becomes a gRPC status", async (_what, step, status, message) => {
    const answer = await call(step, GRPC);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/grpc");
    expect(answer.headers.get("grpc-status")).toBe(status);
    expect(answer.headers.get("grpc-message")).toBe(message);
    expect(await answer.text()).toBe("");
  });

  test("headers beside those of the body stay", async () => {
    const answer = await call((c) => c.text("no", 401, { "x-a": "1", etag: '"x"' }), GRPC);
    expect(answer.headers.get("x-a")).toBe("1");
    expect(answer.headers.has("etag")).toBe(false);
  });

  test("what speaks gRPC already is left alone", async () => {
    const answer = await call((c) => {
      exchangeOf(c).response = {
        status: 200,
        headers: new HeaderList(["content-type", "application/grpc", "grpc-status", "5"]),
        body: null,
        source: "gateway",
      };
    }, GRPC);
    expect(answer.headers.get("grpc-status")).toBe("5");
  });

  test("Connect: an error is converted, its own form and successes pass", async () => {
    const converted = await call((c) => c.json({ error: { message: "m" } }, 403), CONNECT);
    expect(converted.status).toBe(403);
    expect(await converted.json()).toEqual({ code: "permission_denied", message: "m" });
    const own = await call((c) => c.json({ code: "aborted", details: [] }, 409), CONNECT);
    expect(own.status).toBe(409);
    expect(await own.json()).toEqual({ code: "aborted", details: [] });
    expect(await (await call((c) => c.json({ fine: true }), CONNECT)).json()).toEqual({ fine: true });
  });
});

test.each([
  ["POST", { "content-type": "application/grpc" }, "", "grpc"],
  ["POST", { "content-type": "application/grpc+json; charset=x" }, "", "grpc"],
  ["POST", { "content-type": "Application/GRPC;x" }, "", "grpc"],
  ["POST", { "content-type": "application/grpcish" }, "", "http"],
  ["POST", { "content-type": "application/grpc-web-text" }, "", "grpc-web"],
  ["POST", { "content-type": "application/grpc-web+proto" }, "", "grpc-web"],
  ["POST", { "content-type": "application/connect+json" }, "", "connect"],
  ["POST", { "content-type": "application/proto", "connect-protocol-version": "1" }, "", "connect"],
  ["POST", { "content-type": "application/json" }, "?connect=v1", "http"],
  ["GET", {}, "?encoding=json&connect=v1", "connect"],
  ["GET", {}, "?connect=v12", "http"],
  ["GET", {}, "", "http"],
] as const)("%s %o %s is %s", (method, headers, search, protocol) => {
  expect(callProtocolOf(method, HeaderList.from(Object.entries(headers)), search)).toBe(protocol);
});

test("grpc-message keeps printable ASCII and escapes the rest", () => {
  expect(encodeGrpcMessage("a b~!$")).toBe("a b~!$");
  expect(encodeGrpcMessage("50%\n\u007fü")).toBe("50%25%0A%7F%C3%BC");
});

test("every code of the error table has a name in Connect, and statuses that are refusals a code in gRPC", () => {
  for (const { grpc, status } of Object.values(ERROR_CODES)) {
    expect(connectCodeOf(grpc).http).toBeGreaterThanOrEqual(400);
    expect(grpcCodeOf(status)).toBeGreaterThan(0);
  }
  expect(connectCodeOf(99).name).toBe("unknown");
});
