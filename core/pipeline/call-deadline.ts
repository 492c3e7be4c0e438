import { type CallProtocol, type HeaderList, SluiceError } from "sluice/plugin";
import { parseGrpcTimeout } from "../forward/grpc-timeout.ts";
import type { RequestRecord } from "./types.ts";

/**
 * When a caller wants its answer: from `grpc-timeout` in gRPC and gRPC-Web, from `connect-timeout-ms` (at most ten
 * digits, connectrpc.com/docs/protocol) in Connect.
 * @param startedAt `clock.monotonic()` at the end of the request's head.
 * @returns `clock.monotonic()` by then; `Infinity` for never, NaN where the field is malformed.
 */
export function callDeadline(protocol: CallProtocol, headers: HeaderList, startedAt: number): number {
  const name = timeoutField(protocol);
  const value = name === undefined ? undefined : headers.get(name);
  if (value === undefined) return Number.POSITIVE_INFINITY;
  return startedAt + (timeoutOf(protocol, value) ?? Number.NaN);
}

/** The field in which callers of a protocol say how long they wait. */
export function timeoutField(protocol: CallProtocol): "grpc-timeout" | "connect-timeout-ms" | undefined {
  if (protocol === "http") return undefined;
  return protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
}

/** Milliseconds; undefined where the value is malformed. */
export function timeoutOf(protocol: CallProtocol, value: string): number | undefined {
  if (protocol !== "connect") return parseGrpcTimeout(value);
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

/** The caller's timeout cannot be read. */
export function malformedTimeout(protocol: CallProtocol): SluiceError {
  const name = timeoutField(protocol) ?? "timeout";
  return new SluiceError("bad_request", `The ${name} header is malformed.`, {
    reason: name.replaceAll("-", "_"),
  });
}

/**
 * The caller's deadline has passed: DEADLINE_EXCEEDED. An upstream that was asked has failed to answer in time; where none
 * was, the caller gave too little.
 */
export function deadlinePassed({ attempts }: Pick<RequestRecord, "attempts">): SluiceError {
  return new SluiceError(
    attempts > 0 ? "upstream_timeout" : "request_timeout",
    "the call's deadline has passed",
    { reason: "timeout.deadline" },
  );
}
