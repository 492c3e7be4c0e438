import { BytesBody, type Clock, collect, type ExchangeResponse } from "sluice/plugin";
import { isGrpcType } from "../http2/grpc-type.ts";
import { isConnectStream } from "./call-protocol.ts";
import type { HttpExchange } from "./exchange.ts";
import { rpcError } from "./rpc-error.ts";
import { grpcCodeOf, isConnectCode } from "./rpc-status.ts";

/** Bytes of a refusal's body that are read for its message. */
const BODY_LIMIT = 16 * 1024;
/** Milliseconds that such a body may take: what the refusal says matters less than that it comes. */
const BODY_TIME = 1_000;
/** Characters of a message: it travels in a header block, and those are bounded. */
const MESSAGE_LIMIT = 1024;

/**
 * Puts the answer that a plugin or a `respond` route gave to an RPC call as ordinary HTTP (401 with a JSON body)
 * into the protocol of the call; the message is the body's `error.message`, its `message`, or its text. What
 * speaks the protocol already, and what an upstream answered, stays as it is. Undefined when it is done at once.
 */
export function toCallProtocol(
  exchange: HttpExchange,
  clock: Pick<Clock, "setTimeout">,
): Promise<void> | undefined {
  if (exchange.protocol === "http") return undefined;
  const response = exchange.answer;
  if (response === undefined || response.source !== "gateway" || speaks(exchange, response)) return undefined;
  return convert(exchange, response, clock);
}

async function convert(
  exchange: HttpExchange,
  response: ExchangeResponse,
  clock: Pick<Clock, "setTimeout">,
): Promise<void> {
  const bytes = await textOf(exchange, response, clock);
  const text = bytes === undefined ? "" : new TextDecoder().decode(bytes);
  const json = /\bjson\b/i.test(typeOf(response)) ? parsed(text) : undefined;
  // Connect's own error, made by a plugin that knows it.
  if (isConnectUnary(exchange) && bytes !== undefined && isConnectCode(json?.["code"])) {
    response.body = new BytesBody(bytes);
    return;
  }
  const message = json === undefined ? text.trim() : messageOf(json);
  const answer = rpcError(
    exchange,
    grpcCodeOf(response.status),
    message === "" ? `HTTP status ${response.status}` : message.slice(0, MESSAGE_LIMIT),
  );
  for (const [name, value] of response.headers) if (!isAboutBody(name)) answer.headers.append(name, value);
  exchange.response = answer;
}

function speaks(exchange: HttpExchange, response: ExchangeResponse): boolean {
  const type = typeOf(response);
  if (exchange.protocol === "grpc") return isGrpcType(type);
  if (exchange.protocol === "grpc-web") return /^application\/grpc-web/i.test(type);
  return isConnectUnary(exchange) ? response.status < 400 : /^application\/connect\+/i.test(type);
}

function isConnectUnary(exchange: HttpExchange): boolean {
  return exchange.protocol === "connect" && !isConnectStream(exchange.callType);
}

/** The body where it may be text, is short and comes soon; it is read or cancelled after this. */
function textOf(
  exchange: HttpExchange,
  { headers, body }: ExchangeResponse,
  clock: Pick<Clock, "setTimeout">,
): Promise<Uint8Array | undefined> | undefined {
  if (body === null) return undefined;
  const type = headers.get("content-type") ?? "";
  if (headers.has("content-encoding") || !/^text\/plain|\bjson\b/i.test(type)) {
    body.cancel();
    return undefined;
  }
  return new Promise((resolve) => {
    const giveUp = (): void => {
      resolve(undefined);
      body.cancel();
    };
    const stop = clock.setTimeout(giveUp, BODY_TIME);
    const takeBack = exchange.onCancel(giveUp);
    // A body that breaks off has no message for the caller; the status stands.
    const over = (bytes?: Uint8Array): void => {
      stop();
      takeBack();
      resolve(bytes);
    };
    collect(body, BODY_LIMIT).then(over, () => over());
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function messageOf(json: Record<string, unknown>): string {
  const { error, message } = json;
  if (typeof message === "string") return message;
  if (typeof error === "string") return error;
  return typeof error === "object" && error !== null ? messageOf(error as Record<string, unknown>) : "";
}

function typeOf(response: ExchangeResponse): string {
  return response.headers.get("content-type") ?? "";
}

function isAboutBody(name: string): boolean {
  return (
    name.startsWith("content-") || name === "etag" || name === "last-modified" || name === "accept-ranges"
  );
}
