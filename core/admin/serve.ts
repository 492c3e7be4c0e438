import { BytesBody, collect, ERROR_CODES, HeaderList, type Random, StreamBody } from "sluice/plugin";
import type { GatewayHandler, Inbound } from "../listener/inbound.ts";

/** No admin request is larger. */
const MAX_BODY = 1 << 20;

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
    const body = await collect(inbound.body, MAX_BODY);
    if (body === undefined) return await refuse(inbound, 413, "payload_too_large");
    const path = inbound.rawTarget.startsWith("/") ? inbound.rawTarget : "/";
    const headers = inbound.headers.toHeaders();
    headers.set("host", inbound.authority);
    const init: RequestInit = { method: inbound.method, headers };
    if (body.byteLength > 0) init.body = body;
    const request = new Request(`http://admin${path}`, init);
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

async function refuse(
  inbound: Inbound,
  status: number,
  code: "bad_request" | "payload_too_large",
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
