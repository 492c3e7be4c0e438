import { BytesBody, collect, ERROR_CODES, HeaderList, type Random, StreamBody } from "sluice/plugin";
import type { GatewayHandler, Inbound } from "../listener/inbound.ts";

/** No admin request is larger. */
const MAX_BODY = 1 << 20;
/** RFC 9110 §9.3 and RFC 5789, without CONNECT and TRACE. The platform would make a GET of a method it does not know. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

interface FetchApp {
  fetch(request: Request, env: { readonly peer: string }): Response | Promise<Response>;
}

/** Serves a Fetch application behind one of our own listeners: the same codec, TLS and limits as the gateway's. */
export function serveApp(app: FetchApp, services: { random: Random }): GatewayHandler {
  return {
    handle(inbound) {
      void answer(app, inbound);
    },
    rejected(rejection) {
      const { code, reason, message } = rejection;
      return errorMessage(code, reason, message, services.random.uuid());
    },
  };
}

async function answer(app: FetchApp, inbound: Inbound): Promise<void> {
  try {
    if (!METHODS.has(inbound.method)) {
      inbound.body?.cancel();
      return await refuse(inbound, 501, "not_implemented");
    }
    const body = await collect(inbound.body, MAX_BODY);
    if (body === undefined) return await refuse(inbound, 413, "payload_too_large");
    const headers = inbound.headers.toHeaders();
    headers.set("host", inbound.authority);
    const init: RequestInit = { method: inbound.method, headers };
    if (body.byteLength > 0) init.body = body;
    const request = new Request(`http://admin${pathOf(inbound.rawTarget)}`, init);
    const response = await app.fetch(request, { peer: inbound.connection.peerAddress });
    const sent = HeaderList.from(response.headers);
    await inbound.respond(
      response.status,
      sent,
      response.body === null ? null : new StreamBody(response.body as ReadableStream<Uint8Array>),
    );
  } catch {
    await refuse(inbound, 400, "bad_request");
  }
}

/** Path and query of a target in origin-form or absolute-form (RFC 9112 §3.2.2 obliges to take both). */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "");
  return path.startsWith("/") ? path : `/${path === "*" ? "" : path}`;
}

async function refuse(
  inbound: Inbound,
  status: number,
  code: "bad_request" | "payload_too_large" | "not_implemented",
): Promise<void> {
  const { headers, body } = errorMessage(code, code, ERROR_CODES[code].meaning, "");
  await inbound.respond(status, headers, new BytesBody(body));
}

function errorMessage(
  code: string,
  reason: string,
  message: string,
  requestId: string,
): { headers: HeaderList; body: Uint8Array } {
  const error = { error: { code, message, reason, request_id: requestId } };
  return {
    headers: new HeaderList(["content-type", "application/json"]),
    body: new TextEncoder().encode(JSON.stringify(error)),
  };
}
