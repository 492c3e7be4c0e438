import { ERROR_CODES, SluiceError } from "sluice/plugin";

/* Why a request ends before its answer is complete, or its body before its end: the client's part in it. */

export function clientGone(): SluiceError {
  return new SluiceError("client_closed", ERROR_CODES.client_closed.meaning, { reason: "client.gone" });
}

/** It has not taken a byte of the answer for the idle timeout. */
export function clientStalled(): SluiceError {
  return new SluiceError("client_closed", "the client stopped reading", { reason: "client.stalled" });
}

export function bodyTooSlow(): SluiceError {
  return new SluiceError("request_timeout", "the request's body came too slowly", { reason: "timeout.body" });
}

export function tunnelIdle(): SluiceError {
  return new SluiceError("request_timeout", "nothing passed on the upgraded connection for too long", {
    reason: "timeout.tunnel",
  });
}

/** Not the client's doing: the gateway ends. */
export function cutOff(): SluiceError {
  return new SluiceError("draining", ERROR_CODES.draining.meaning, { reason: "shutdown" });
}
