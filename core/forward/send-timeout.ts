import type { HeaderList } from "sluice/plugin";
import { timeoutField, timeoutOf } from "../pipeline/call-deadline.ts";
import type { GatewayExchange } from "../pipeline/types.ts";
import { formatGrpcTimeout } from "./grpc-timeout.ts";

/**
 * Tells the upstream of a call how long it has: what is left until the caller's deadline, or less where a step has
 * shortened it. A step that has taken the field away is obeyed.
 * @param headers those for the upstream.
 * @param now `clock.monotonic()`.
 */
export function sendTimeout(x: GatewayExchange, headers: HeaderList, now: number): void {
  const name = timeoutField(x.protocol);
  const value = name === undefined ? undefined : headers.get(name);
  if (name === undefined || value === undefined) return;
  const asked = timeoutOf(x.protocol, value);
  const until = asked === undefined ? x.deadline : Math.min(x.deadline, x.startedAt + asked);
  if (until === Number.POSITIVE_INFINITY) return;
  const left = Math.max(0, until - now);
  headers.set(
    name,
    x.protocol === "connect" ? String(Math.max(1, Math.floor(left))) : formatGrpcTimeout(left),
  );
}
