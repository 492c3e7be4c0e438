import { BytesBody, HeaderList } from "sluice/plugin";
import type { Inbound } from "../listener/inbound.ts";
import type { Probes } from "./generation.ts";

const OK = new TextEncoder().encode("ok\n");
const NOT_READY = new TextEncoder().encode("not ready\n");

/**
 * Answers a load balancer's probe; false where the path is none of the listener's. Probes are neither counted
 * nor logged: they come every second and say nothing of the traffic.
 *
 * @param path in normal form.
 */
export function answerProbe(
  inbound: Inbound,
  path: string,
  probes: Probes,
  ready: (checker: string) => boolean,
): boolean {
  const isLive = path === probes.live;
  if (!isLive && path !== probes.ready) return false;
  const { method } = inbound;
  if (method !== "GET" && method !== "HEAD") return false;
  const isGood = isLive || ready(inbound.connection.socketAddress);
  const bytes = isGood ? OK : NOT_READY;
  const headers = new HeaderList([
    ...["content-type", "text/plain; charset=utf-8"],
    ...["cache-control", "no-store"],
  ]);
  if (method === "HEAD") headers.append("content-length", String(bytes.byteLength));
  // It never rejects, and nobody asks what became of it.
  void inbound.respond(isGood ? 200 : 503, headers, method === "HEAD" ? null : new BytesBody(bytes));
  return true;
}
