import { type Context, Hono } from "hono";
import type { Clock } from "sluice/plugin";
import { eventStream, pause, sse } from "./pace.ts";

const MAX_SLOW_MS = 60_000;
const MAX_BYTES = 10_000_000_000;
const CHUNK = new Uint8Array(65_536).fill("sluice ".charCodeAt(0));

/**
 * Plain HTTP to try a gateway on: `/hello`, `/echo` (the request as JSON), `/slow?ms=N`, `/stream` (ten
 * server-sent events), `/status/CODE`, `/bytes/N`.
 */
export function httpApp(clock: Clock): Hono {
  const app = new Hono();
  app.get("/hello", (c) => c.text("hello\n"));
  app.all("/echo", async (c) =>
    c.json({
      method: c.req.method,
      url: c.req.path + new URL(c.req.url).search,
      headers: c.req.header(),
      body: await c.req.text(),
    }),
  );
  app.get("/slow", async (c) => {
    const ms = whole(c.req.query("ms") ?? "1000", 0, MAX_SLOW_MS);
    if (ms === undefined) return refuse(c, `ms is a whole number from 0 to ${MAX_SLOW_MS}`);
    await pause(clock, ms, c.req.raw.signal);
    return c.text(`waited ${ms} ms\n`);
  });
  app.get("/stream", () => {
    const events = Array.from({ length: 10 }, (_, i) => sse({ n: i + 1, of: 10 }, "tick", i + 1));
    return eventStream(clock, 100, events);
  });
  app.all("/status/:code", (c) => {
    const status = whole(c.req.param("code"), 200, 599);
    if (status === undefined) return refuse(c, "the status is a whole number from 200 to 599");
    const bare = status === 204 || status === 205 || status === 304;
    return new Response(bare ? null : `status ${status}\n`, { status });
  });
  app.get("/bytes/:n", (c) => {
    const bytes = whole(c.req.param("n"), 0, MAX_BYTES);
    if (bytes === undefined) return refuse(c, `the number of bytes is a whole number from 0 to ${MAX_BYTES}`);
    return new Response(bytesOf(bytes), { headers: { "content-type": "application/octet-stream" } });
  });
  app.notFound((c) => c.json({ error: `nothing at ${c.req.path}` }, 404));
  return app;
}

function refuse(c: Context, message: string): Response {
  return c.json({ error: message }, 400);
}

function whole(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

/** `total` bytes, made as they are read. */
function bytesOf(total: number): ReadableStream<Uint8Array> {
  let left = total;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, CHUNK.byteLength);
      if (size > 0) controller.enqueue(CHUNK.slice(0, size));
      left -= size;
      if (left === 0) controller.close();
    },
  });
}
