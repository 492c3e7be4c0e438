import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import type { AdminSource } from "./source.ts";

/** What the server tells the app about a request's connection. */
export interface AdminEnv {
  Bindings: { readonly peer: string };
}

/**
 * The admin API. `/healthz` and `/readyz` answer anybody who may connect: they say nothing but yes or no. The rest
 * wants the token; without a configured one, GETs from loopback are open and everything else is 403.
 */
export function createAdminApp(source: AdminSource): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.use(async (c, next) => {
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
    if (!source.allows(c.env.peer)) return refuse(c, 403, "forbidden", "this address is not in admin.allow");
    const open = c.req.path === "/healthz" || c.req.path === "/readyz";
    const refusal = open ? undefined : refusalOf(c, source.token);
    if (refusal !== undefined) return refusal;
    await next();
    return undefined;
  });

  app.get("/healthz", (c) => c.json({ status: source.live ? "ok" : "failing" }, source.live ? 200 : 503));
  app.get("/readyz", (c) => {
    const ready = source.ready(c.env.peer);
    return c.json({ status: ready ? "ready" : "not ready" }, ready ? 200 : 503);
  });
  app.get("/health", (c) => c.json(source.health()));
  app.get("/config", (c) => c.json(source.config()));
  app.get("/routes", (c) => c.json({ routes: source.routes() }));
  app.get("/upstreams", (c) => c.json({ upstreams: source.upstreams() }));
  const drainPath = "/upstreams/:upstream/targets/:target/drain";
  const drain = (c: Context<AdminEnv>, drained: boolean): Response => {
    const { upstream = "", target = "" } = c.req.param() as Record<string, string | undefined>;
    const now = source.drain(upstream, target, drained);
    if (now !== undefined) return c.json(now);
    return refuse(c, 404, "not_found", "there is no such target; GET /upstreams lists them, escape / as %2F");
  };
  app.post(drainPath, (c) => drain(c, true));
  app.delete(drainPath, (c) => drain(c, false));
  app.get("/metrics", async (c) =>
    c.body(await source.metricsText(), 200, { "content-type": source.metricsContentType }),
  );
  app.get("/metrics/summary", (c) => c.json(source.metricsSummary()));

  app.post("/config/reload", async (c) => {
    const result = await source.reload();
    return c.json(result, result.ok ? 200 : 422);
  });
  app.get("/log-level", (c) => c.json({ level: source.logLevel }));
  app.patch("/log-level", async (c) => {
    const body: unknown = await c.req.json().catch(() => undefined);
    const level = typeof body === "object" && body !== null && "level" in body ? body.level : undefined;
    if (typeof level !== "string" || !source.setLogLevel(level))
      return refuse(c, 422, "unprocessable", 'expected {"level": "debug" | "info" | "warn" | "error"}');
    return c.json({ level: source.logLevel });
  });

  const allowed = methodsByPath(app);
  app.notFound((c) => {
    const allow = allowed.find(({ pattern }) => pattern.test(c.req.path))?.allow;
    if (allow === undefined) return refuse(c, 404, "not_found", "the admin API has no such path");
    c.header("allow", allow);
    return refuse(c, 405, "method_not_allowed", `this path takes ${allow}`);
  });
  app.onError((error, c) => refuse(c, 500, "internal", error.message));
  return app;
}

/** `Allow` of every path that the app serves. */
function methodsByPath(app: Hono<AdminEnv>): readonly { readonly pattern: RegExp; readonly allow: string }[] {
  const all = new Map<string, string>();
  for (const { path, method } of app.routes) {
    // The middleware that stands above every path.
    if (method === "ALL") continue;
    // Hono answers HEAD as it would GET.
    const named = method === "GET" ? "GET, HEAD" : method;
    const known = all.get(path);
    all.set(path, known === undefined ? named : `${known}, ${named}`);
  }
  return [...all].map(([path, allow]) => ({
    pattern: new RegExp(`^${path.replaceAll(/:[^/]+/g, "[^/]+")}$`),
    allow,
  }));
}

function refusalOf(c: Context<AdminEnv>, token: string | undefined): Response | undefined {
  if (token !== undefined) {
    const given = /^bearer +(.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (given !== undefined && sameSecret(given, token)) return undefined;
    c.header("www-authenticate", 'Bearer realm="sluice admin"');
    return refuse(c, 401, "unauthenticated", "the admin API wants Authorization: Bearer TOKEN");
  }
  const reads = c.req.method === "GET" || c.req.method === "HEAD";
  // A web page that a name resolving to 127.0.0.1 brought here must not read: such a request names that host.
  if (reads && isLoopback(c.env.peer) && namesThisMachine(c.req.header("host") ?? "")) return undefined;
  return refuse(c, 403, "forbidden", "without admin.token only GETs from loopback are allowed");
}

function refuse(
  c: Context,
  status: 401 | 403 | 404 | 405 | 422 | 500,
  code: string,
  message: string,
): Response {
  return c.json({ error: { code, message } }, status);
}

/** Digests are compared, so that neither content nor length shows in the time taken. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function isLoopback(address: string): boolean {
  return address === "unix" || address === "::1" || address.startsWith("127.");
}

function namesThisMachine(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name === "" || name === "localhost" || name.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(name);
}
