import { type ConnectionFacts, ERROR_CODES, type HeaderList } from "sluice/plugin";
import type { ConnectionHost } from "./connection-host.ts";
import { MessageError } from "./message-error.ts";
import type { RequestParser } from "./request-parser.ts";

/** What of a request is known when it is refused. */
export type RequestFacts = Pick<RequestParser, "method" | "rawTarget" | "version">;

export interface Refusal {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

/**
 * The answer to what never became a request, as the gateway words it; undefined where that failed, too.
 * @param thrown a MessageError, or a defect of ours.
 */
export function refusalOf(
  { handler, log }: Pick<ConnectionHost<unknown>, "handler" | "log">,
  connection: ConnectionFacts,
  thrown: unknown,
  { method, rawTarget, version }: RequestFacts,
): Refusal | undefined {
  let error = thrown;
  if (!(error instanceof MessageError)) {
    log.error({ err: error }, "reading a request failed");
    error = new MessageError("internal", "internal", ERROR_CODES.internal.meaning);
  }
  const { code, reason, message } = error as MessageError;
  const httpVersion = version ?? "1.1";
  try {
    const facts = { connection, httpVersion, code, reason, message, method, rawTarget };
    return { status: ERROR_CODES[code].status, ...handler.rejected(facts) };
  } catch (failure) {
    log.error({ err: failure }, "the gateway failed to refuse a request");
    return undefined;
  }
}
