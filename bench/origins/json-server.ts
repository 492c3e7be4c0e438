import { JSON_ANSWER, JSON_REQUEST } from "./json-messages.ts";
import { serveOn } from "./origin-process.ts";

/* Answers a POST only where its body is what it should be: a proxy that changes or cuts it is found out. */

const wrong = (): Response => Response.json({ error: "not the body that was agreed on" }, { status: 400 });

const HEAD = { headers: { "content-type": "application/json" } };

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    if (request.method !== "POST" || request.headers.get("content-type") !== "application/json")
      return wrong();
    const body = await request.bytes();
    if (Buffer.compare(body, JSON_REQUEST) !== 0) return wrong();
    return new Response(JSON_ANSWER, HEAD);
  },
});

serveOn(server.port!);
