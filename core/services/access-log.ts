import { type Clock, CONSUMER, SluiceError, TENANT, TRACE_ID } from "sluice/plugin";
import type { Rejection, Sent } from "../listener/inbound.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import { MASK } from "../../config/secrets.ts";
import { inertJson } from "./escape.ts";
import { isoTime } from "./iso-time.ts";
import { isSecretName, maskQuery, maskText } from "./mask.ts";

/** Longest piece of a client's text that a line carries. */
const MAX_TEXT = 512;

/** Who a request failed through, and the failure class. */
export interface Blame {
  readonly failed: string;
  readonly reason: string;
}

/** The owner of a request's failure, or undefined where none failed. Log and metrics both ask here. */
export function blame(exchange: GatewayExchange, sent: Sent): Blame | undefined {
  const failure = exchange.record.failure;
  if (failure !== undefined) return { failed: failure.owner, reason: failure.reason };
  if (!sent.complete) {
    const error = SluiceError.from(sent.error, "upstream_failed", "reset");
    return { failed: error.owner, reason: error.reason };
  }
  const response = exchange.response;
  if (response !== undefined && response.source === "upstream" && response.status >= 500)
    return { failed: "upstream", reason: "status" };
  return undefined;
}

/**
 * The line of a finished request: JSON, keys in a fixed order, absent values left out.
 * @param redacts whether the values of a header are masked.
 */
export function accessLine(
  exchange: GatewayExchange,
  sent: Sent,
  clock: Clock,
  redacts: (name: string) => boolean,
): string {
  const { record, request, response } = exchange;
  const end = clock.monotonic();
  const blamed = blame(exchange, sent);
  // By hand: of the texts only some can hold what JSON or a terminal would take amiss.
  let line = `{"level":"info","time":"${isoTime(clock.now())}","msg":"request"`;
  line += pair("request_id", exchange.requestId);
  line += pair("trace_id", exchange.get(TRACE_ID));
  line += pair("client", exchange.clientAddress);
  line += pair("consumer", exchange.get(CONSUMER));
  line += pair("tenant", exchange.get(TENANT));
  if (exchange.protocol !== "http") line += `,"protocol":"${exchange.protocol}"`;
  line += `,"http":"${exchange.httpVersion}"`;
  line += pair("method", short(request.method));
  line += pair("host", redacts("host") ? MASK : short(request.authority));
  line += pair("target", maskedTarget(request.rawTarget));
  if (exchange.route !== "") line += pair("route", exchange.route);
  line += `,"status":${figure(response?.status ?? 0)}`;
  const code = grpcStatus(exchange);
  if (code !== undefined) line += `,"grpc_status":${code}`;
  line += `,"bytes_in":${record.bytesIn},"bytes_out":${sent.bytes}`;
  if (sent.firstByteAt !== 0) line += `,"first_byte_ms":${round(sent.firstByteAt - exchange.startedAt)}`;
  line += `,"duration_ms":${round(end - exchange.startedAt)}`;
  if (record.upstream !== undefined) {
    line += pair("upstream", record.upstream) + pair("target_url", record.target);
    line += `,"upstream_ms":${round(record.upstreamWait)}`;
  }
  if (record.attempts > 1) line += `,"attempts":${record.attempts}`;
  if (!sent.complete) line += `,"complete":false`;
  if (blamed !== undefined) line += pair("failed", blamed.failed) + pair("reason", blamed.reason);
  line += pair("step", record.failedStep);
  const fields = fieldsOf(record.fields, redacts);
  if (fields !== undefined) line += `,"fields":${inertJson(JSON.stringify(fields))}`;
  line += pair("user_agent", redacts("user-agent") ? MASK : short(request.headers.get("user-agent")));
  return `${line}}`;
}

/** What JSON has for a number; a plugin may have assigned any. */
function figure(value: number): string {
  return Number.isFinite(value) ? String(value) : "null";
}

/** Needs no escape in JSON, and no terminal acts upon it. */
const PLAIN = /^[ !#-[\]-~]*$/;

function pair(key: string, value: string | undefined): string {
  if (value === undefined) return "";
  return PLAIN.test(value) ? `,"${key}":"${value}"` : `,"${key}":${inertJson(JSON.stringify(value))}`;
}

/** The line of a request that a codec or a limit refused. */
export function rejectedLine(rejection: Rejection, status: number, requestId: string, clock: Clock): string {
  const line = JSON.stringify({
    level: "info",
    time: isoTime(clock.now()),
    msg: "request",
    request_id: requestId,
    client: rejection.connection.peerAddress,
    http: rejection.httpVersion,
    method: short(rejection.method),
    target: rejection.rawTarget === undefined ? undefined : maskedTarget(rejection.rawTarget),
    status,
    failed: "client",
    reason: rejection.reason,
  });
  return inertJson(line);
}

/** What plugins added, with what the operator wants masked. */
function fieldsOf(
  fields: GatewayExchange["record"]["fields"],
  redacts: (name: string) => boolean,
): Record<string, unknown> | undefined {
  if (fields === undefined) return undefined;
  const shown = ([name, value]: readonly [string, string | number | boolean]): [string, unknown] => {
    if (isSecretName(name) || redacts(name.toLowerCase())) return [name, MASK];
    return [name, typeof value === "string" ? maskText(value) : value];
  };
  return Object.fromEntries(Array.from(fields, shown));
}

/** gRPC's own status: in the trailers, or in the head of a Trailers-Only answer. */
export function grpcStatus(exchange: GatewayExchange): number | undefined {
  const response = exchange.response;
  if (response === undefined || exchange.protocol === "http") return undefined;
  const status = response.body?.trailers?.get("grpc-status") ?? response.headers.get("grpc-status");
  // An upstream may have written anything; no status is clearer than a wrong one.
  return status !== undefined && /^\d{1,3}$/.test(status) ? Number(status) : undefined;
}

function maskedTarget(target: string): string {
  const query = target.indexOf("?");
  if (query === -1) return short(target);
  return short(target.slice(0, query) + maskQuery(target.slice(query)));
}

function short(text: string): string;
function short(text: string | undefined): string | undefined;
function short(text: string | undefined): string | undefined {
  return text === undefined || text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}

/** Milliseconds to a microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
