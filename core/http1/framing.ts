/**
 * Where a message's body ends (RFC 9112 §6.3): a length in bytes (0 and more), or one of the constants below,
 * which are negative. A plain number, because every message carries one.
 */
export type Framing = number;

/** The message has no body and says nothing of one: neither Content-Length nor Transfer-Encoding. */
export const NO_BODY: Framing = -1;
/** `Transfer-Encoding: chunked` (RFC 9112 §7.1). */
export const CHUNKED: Framing = -2;
/** An answer that ends with its connection (RFC 9112 §6.3 item 8). */
export const UNTIL_CLOSE: Framing = -3;
