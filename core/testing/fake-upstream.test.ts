import { expect, test } from "bun:test";
import { Hono } from "hono";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { fakeUpstream } from "./fake-upstream.ts";

test("a Hono app answers over HTTP/1.1, and the request is kept as it stood on the wire", async () => {
  const app = new Hono();
  app.post("/things/:id", async (c) => c.text(`${c.req.param("id")}: ${await c.req.text()}`, 201));
  await using upstream = await fakeUpstream(app);
  const socket = connect(upstream.port, "127.0.0.1");
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (text.endsWith("7: hello")) resolve(text);
    });
    socket.write(
      "POST /things/7?a=%2F HTTP/1.1\r\nHost: up\r\nX-B: 2\r\nX-A: 1\r\nX-B: 3\r\nContent-Length: 5\r\n\r\nhello",
    );
  });
  expect(answer).toStartWith("HTTP/1.1 201");
  expect(upstream.requests).toHaveLength(1);
  const seen = upstream.requests[0]!;
  expect(seen.method).toBe("POST");
  expect(seen.target).toBe("/things/7?a=%2F");
  expect(seen.httpVersion).toBe("1.1");
  expect([...seen.headers]).toEqual([
    ["host", "up"],
    ["x-b", "2"],
    ["x-a", "1"],
    ["x-b", "3"],
    ["content-length", "5"],
  ]);
  expect(await seen.text()).toBe("hello");
  socket.destroy();
});

test("the same over HTTP/2 in clear text", async () => {
  await using upstream = await fakeUpstream(async (request) => new Response(await request.text()), {
    protocol: "http2",
  });
  const session = connectHttp2(upstream.url);
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST", ":path": "/echo", "x-a": "1" });
  const status = new Promise<number>((resolve) =>
    stream.on("response", (headers) => resolve(Number(headers[":status"]))),
  );
  const text = new Promise<string>((resolve) => {
    let all = "";
    stream.on("data", (chunk: Uint8Array) => (all += Buffer.from(chunk).toString()));
    stream.on("end", () => resolve(all));
  });
  stream.end("over two");
  expect(await status).toBe(200);
  expect(await text).toBe("over two");
  const seen = upstream.requests[0]!;
  expect(seen.httpVersion).toBe("2");
  expect(seen.target).toBe("/echo");
  expect(seen.headers.get("x-a")).toBe("1");
  expect(await seen.text()).toBe("over two");
  session.destroy();
});

test("received waits for requests to come", async () => {
  await using upstream = await fakeUpstream(() => new Response("ok"));
  const two = upstream.received(2);
  await Promise.all([fetch(`${upstream.url}/a`), fetch(`${upstream.url}/b`)]);
  await two;
  expect(upstream.requests.map((seen) => seen.target).sort()).toEqual(["/a", "/b"]);
});

test("a handler that throws answers 500", async () => {
  await using upstream = await fakeUpstream(() => {
    throw new Error("broken on purpose");
  });
  const answer = await fetch(upstream.url);
  expect(answer.status).toBe(500);
  expect(await answer.text()).toContain("broken on purpose");
});

test("close cuts connections that are open", async () => {
  const upstream = await fakeUpstream(() => new Promise(() => {}));
  const answer = fetch(upstream.url).catch((error: unknown) => error);
  await upstream.received(1);
  await upstream.close();
  expect(await answer).toBeInstanceOf(Error);
  expect(await fetch(upstream.url).catch((error: unknown) => error)).toBeInstanceOf(Error);
});

test.each(["http1", "http2"] as const)(
  "a body that the handler leaves unread is kept all the same (%s)",
  async (protocol) => {
    await using upstream = await fakeUpstream(() => new Response("did not look"), { protocol });
    const sent = "x".repeat(300_000);
    if (protocol === "http1") await fetch(upstream.url, { method: "POST", body: sent });
    else {
      const session = connectHttp2(upstream.url);
      session.on("error", () => {});
      const stream = session.request({ ":method": "POST", ":path": "/" });
      stream.on("error", () => {});
      stream.end(sent);
      await upstream.received(1);
      expect((await upstream.requests[0]!.text()).length).toBe(300_000);
      session.destroy();
    }
    expect((await upstream.requests[0]!.text()).length).toBe(300_000);
  },
);
