import { SluiceError } from "sluice/plugin";

/*
 * What goes wrong between the gateway and an upstream: one place for code, reason and wording. The messages
 * reach clients and so name no address; the cause does, for the log.
 */

const SOON = [["retry-after", "1"]] as const;

/** No connection came to stand: reason `connect`, or `tls` and `protocol` where TCP stood and those failed. */
export function openingFailed(cause: unknown): SluiceError {
  const code = codeOf(cause);
  if (TLS_CODE.test(code)) return tlsFailed(cause);
  if (cause instanceof WrongProtocol) return malformed(cause.message, cause.cause);
  return new SluiceError("upstream_failed", "the upstream could not be reached", {
    reason: "connect",
    cause,
  });
}

/** The peer stands and speaks something else than was expected of it; `message` says so. */
export class WrongProtocol extends Error {
  override readonly name = "WrongProtocol";
}

/** The connection or the stream broke off: reason `reset`, or `tls` where that was refused after all. */
export function broken(cause?: unknown): SluiceError {
  // In TLS 1.3 a server refuses a client's certificate after the handshake (RFC 8446 §4.4.2.4).
  if (TLS_CODE.test(codeOf(cause))) return tlsFailed(cause);
  return new SluiceError("upstream_failed", "the upstream broke off", { reason: "reset", cause });
}

/** The upstream did what its protocol forbids: reason `protocol`. What exactly is for the log. */
export function malformed(what: string, cause: unknown = new Error(what)): SluiceError {
  return new SluiceError("upstream_failed", "the upstream's answer is malformed", {
    reason: "protocol",
    cause,
  });
}

const TIMEOUTS = {
  connect: "connecting to the upstream took too long",
  first_byte: "the upstream did not begin its answer in time",
  idle: "the upstream stopped in the middle",
} as const;

/** A timeout passed: reason `timeout.connect`, `timeout.first_byte` or `timeout.idle`. */
export function timedOut(which: keyof typeof TIMEOUTS): SluiceError {
  return new SluiceError("upstream_timeout", TIMEOUTS[which], { reason: `timeout.${which}` });
}

/** Every connection is busy and the queue is full, or the wait in it was too long: reason `overflow`. */
export function overflow(): SluiceError {
  return new SluiceError("unavailable", "the upstream's connections are all busy", {
    reason: "overflow",
    headers: SOON,
  });
}

/** Every target has its full number of requests, and as many wait as may: reason `overflow`. */
export function queueFull(): SluiceError {
  return new SluiceError("unavailable", "every target is busy and the queue is full", {
    reason: "overflow",
    headers: SOON,
  });
}

/** A request has waited too long for a target to have room: reason `overflow`. */
export function queueTimeout(): SluiceError {
  return new SluiceError("unavailable", "every target has been busy for too long", {
    reason: "overflow",
    headers: SOON,
  });
}

/**
 * There is nobody to ask: reason `no_target`, or `dns` where that is because a name was not found.
 * @param ms until that may change; rounded up to whole seconds for `Retry-After`
 */
export function noTarget(ms = 0, reason: "no_target" | "dns" = "no_target", cause?: unknown): SluiceError {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return new SluiceError("unavailable", "the upstream has no target that may be asked", {
    reason,
    headers: [["retry-after", String(seconds)]],
    cause,
  });
}

/** The request was given up by our side; `reason` is a SluiceError wherever the gateway says why. */
export function abandoned(reason: unknown): SluiceError {
  return SluiceError.from(reason, "client_closed");
}

/** The request's body could not be read to its end, or its head holds what may not be sent. */
export function unsendable(error: unknown): SluiceError {
  return SluiceError.from(error, "internal", "request");
}

/** The request's body is longer or shorter than it announced: reason `request_body`. */
export function wrongLength(announced: number): SluiceError {
  return new SluiceError("internal", `the request's body is not the ${announced} bytes that were announced`, {
    reason: "request_body",
  });
}

// OpenSSL's verification names, Node's own TLS names, and EPROTO for an alert or a record that does not decrypt.
const TLS_CODE =
  /^(?:ERR_TLS|ERR_SSL|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|CRL_|INVALID_CA|PATH_LENGTH|HOSTNAME_MISMATCH)/;

function tlsFailed(cause: unknown): SluiceError {
  return new SluiceError("upstream_failed", "TLS with the upstream failed", { reason: "tls", cause });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}
