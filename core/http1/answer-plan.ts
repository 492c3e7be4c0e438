import type { Body, HeaderList } from "sluice/plugin";
import { connectionOptions, contentLength, OPTION } from "./field-values.ts";
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./framing.ts";

/** How an answer goes out. */
export interface AnswerPlan {
  readonly framing: Framing;
  /** Whether the body's bytes are sent. */
  readonly sendsBody: boolean;
  /** Whether the answer's own headers ask for the connection to close. */
  readonly closes: boolean;
}

/**
 * Decides an answer's framing (RFC 9112 §6, RFC 9110 §8.6). A body's length is what the body says; a
 * `content-length` among the headers may be that of a body which a step has exchanged, and counts for HEAD and 304
 * alone.
 */
export function planAnswer(
  method: string,
  version: "1.0" | "1.1",
  status: number,
  headers: HeaderList,
  body: Body | null,
): AnswerPlan {
  let announced = -1;
  let closes = false;
  const flat = headers.flat;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === "content-length") announced = contentLength(flat[i + 1]!);
    else if (name === "connection") closes = (connectionOptions(flat[i + 1]!) & OPTION.close) !== 0;
  }
  // RFC 9110 §8.6: no Content-Length with 204.
  if (status === 204) return { framing: NO_BODY, sendsBody: false, closes };
  if (method === "HEAD" || status === 304) {
    const length = announced >= 0 || status === 304 ? announced : (body?.length ?? NO_BODY);
    return { framing: length, sendsBody: false, closes };
  }
  if (body === null) return { framing: 0, sendsBody: false, closes };
  const { length } = body;
  if (length !== undefined) return { framing: length, sendsBody: true, closes };
  if (version === "1.1") return { framing: CHUNKED, sendsBody: true, closes };
  return { framing: UNTIL_CLOSE, sendsBody: true, closes: true };
}
