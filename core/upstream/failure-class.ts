import { GRPC_CODES } from "../../config/upstream/grpc-codes.ts";

/*
 * What counts as an upstream's failure, in the words of the configuration: outlier ejection and retries share them.
 */

export interface FailureMatcher {
  /** Whether no answer, for that reason of a SluiceError, is one of the failures. */
  failed(reason: string): boolean;
  /** Whether this answer is one. @param grpcStatus of a gRPC answer, where it is known. */
  answered(status: number, grpcStatus: number | undefined): boolean;
}

/**
 * Compiles a list of failures.
 * - `connect`: no connection came to stand (reasons `connect`, `tls`, `timeout.connect`)
 * - `reset`: it broke off, or the answer is malformed (`reset`, `protocol`)
 * - `timeout`: any timeout of the upstream; neither a caller's own deadline nor a tunnel in which nobody spoke
 * - `5xx`: that of the answer's head; of a gRPC answer a code that says the same: UNKNOWN, INTERNAL, UNAVAILABLE,
 *   DATA_LOSS. What a caller can provoke, such as UNIMPLEMENTED or DEADLINE_EXCEEDED, is none
 * - a status such as `503`: of the answer's head
 * - `unavailable`, `resource-exhausted` …: a gRPC answer's code
 * @throws TypeError for any other word
 */
export function failureMatcher(on: readonly string[]): FailureMatcher {
  const connect = on.includes("connect");
  const reset = on.includes("reset");
  const timeout = on.includes("timeout");
  const serverErrors = on.includes("5xx");
  const statuses: number[] = [];
  let grpcCodes = serverErrors ? GRPC_SERVER_ERRORS : 0;
  for (const word of on) {
    const code = GRPC_CODES.indexOf(word as (typeof GRPC_CODES)[number]);
    if (code > 0) grpcCodes |= 1 << code;
    else if (/^[1-5]\d\d$/.test(word)) statuses.push(Number(word));
    else if (!CLASSES.has(word)) throw new TypeError(`${JSON.stringify(word)} names no failure`);
  }

  return {
    failed(reason) {
      switch (reason) {
        case "connect":
        case "tls":
          return connect;
        case "reset":
        case "protocol":
          return reset;
        case "timeout.connect":
          return connect || timeout;
        default:
          return timeout && reason.startsWith("timeout.") && !NOT_THE_UPSTREAM.has(reason);
      }
    },
    answered(status, grpcStatus) {
      // A loop is the configuration's fault, and asking again goes round once more.
      if (serverErrors && status >= 500 && status <= 599 && status !== 508) return true;
      if (statuses.length > 0 && statuses.includes(status)) return true;
      // A shift takes its operand modulo 32: an unknown code must not look like a known one.
      return grpcCodes !== 0 && grpcStatus !== undefined && isCode(grpcStatus)
        ? ((grpcCodes >>> grpcStatus) & 1) === 1
        : false;
    },
  };
}

const GRPC_SERVER_ERRORS = (1 << 2) | (1 << 13) | (1 << 14) | (1 << 15);

const CLASSES: ReadonlySet<string> = new Set(["connect", "reset", "timeout", "5xx"]);

/** Who gives a call a millisecond, sends slowly or says nothing in a tunnel must not have a target ejected by it. */
const NOT_THE_UPSTREAM: ReadonlySet<string> = new Set([
  "timeout.deadline",
  "timeout.head",
  "timeout.body",
  "timeout.tunnel",
]);

function isCode(status: number): boolean {
  return status >= 0 && status < GRPC_CODES.length;
}
