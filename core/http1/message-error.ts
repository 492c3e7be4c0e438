import type { ErrorCode } from "sluice/plugin";

/**
 * A message on the wire that breaks the protocol or a limit. On the listening side `code` is what the client is
 * told; whoever reads answers makes an `upstream_failed` of reason `protocol` of it and keeps this as its cause.
 */
export class MessageError extends Error {
  override readonly name = "MessageError";
  readonly code: ErrorCode;
  /** The failure class: stable, finer than the code, such as `header.obs_fold`. */
  readonly reason: string;

  constructor(code: ErrorCode, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}
