import { type ExchangeRequest, type ExchangeResponse, HeaderList, SluiceError } from "sluice/plugin";

/** RFC 9110 §7.6.2: `Max-Forwards` has a meaning for these alone. */
export function countsForwards(method: string): boolean {
  return method === "OPTIONS" || method === "TRACE";
}

/** One less, or the value as it is where it is no number. */
export function oneForwardLess(value: string): string {
  return /^\d{1,9}$/.test(value) ? String(Math.max(0, Number(value) - 1)) : value;
}

/**
 * The answer to a request that is to go no further than here, or undefined for one that may.
 * @throws SluiceError `method_not_allowed` for TRACE, whose answer would show what a client must not read of
 * its own request (cookies, what proxies added).
 */
export function answerOfLastHop(request: ExchangeRequest): ExchangeResponse | undefined {
  if (!countsForwards(request.method) || !/^0+$/.test(request.headers.get("max-forwards") ?? ""))
    return undefined;
  if (request.method === "TRACE") {
    throw new SluiceError("method_not_allowed", "TRACE is not answered here.", { reason: "max_forwards" });
  }
  return { status: 204, headers: new HeaderList(), body: null, source: "gateway" };
}
