import { afterAll, expect, test } from "bun:test";
import { createFakeClock } from "sluice/testing";
import { httpApp } from "./http-app.ts";
import { serveApp } from "./serve.ts";

const clock = createFakeClock();
const server = serveApp(httpApp(clock));
afterAll(() => server.close());

test("echo answers with the request", async () => {
  const answer = await fetch(`${server.url}/echo?a=1&a=2`, {
    method: "PUT",
    headers: { "x-word": "sluice" },
    body: "Grüße",
  });
  expect(await answer.json()).toMatchObject({
    method: "PUT",
    url: "/echo?a=1&a=2",
    headers: { "x-word": "sluice" },
    body: "Grüße",
  });
});

test("hello says hello, other paths are 404", async () => {
  expect(await (await fetch(`${server.url}/hello`)).text()).toBe("hello\n");
  expect((await fetch(`${server.url}/nothing`)).status).toBe(404);
});

test("slow waits as long as it was asked to", async () => {
  const answer = fetch(`${server.url}/slow?ms=5000`);
  while (clock.pending === 0) await new Promise(setImmediate);
  await clock.advance(5000);
  expect(await (await answer).text()).toBe("waited 5000 ms\n");
});

test("stream sends ten server-sent events", async () => {
  const answer = await fetch(`${server.url}/stream`);
  expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
  const reading = answer.text();
  while (Bun.peek.status(reading) === "pending") await clock.advance(100);
  const events = (await reading).split("\n\n").slice(0, -1);
  expect(events).toHaveLength(10);
  expect(events[9]).toBe('event: tick\nid: 10\ndata: {"n":10,"of":10}');
});

test("status answers with the status", async () => {
  for (const status of [200, 204, 304, 404, 503, 599]) {
    expect((await fetch(`${server.url}/status/${status}`)).status).toBe(status);
  }
});

test("bytes sends that many bytes", async () => {
  for (const size of [0, 1, 65_536, 200_000]) {
    expect((await (await fetch(`${server.url}/bytes/${size}`)).arrayBuffer()).byteLength).toBe(size);
  }
});

test.each(["/status/99", "/status/600", "/status/abc", "/slow?ms=-1", "/slow?ms=1e3", "/bytes/x"])(
  "%s is refused",
  async (path) => {
    expect((await fetch(server.url + path)).status).toBe(400);
  },
);
