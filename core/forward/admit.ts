import { HeaderList, SluiceError } from "sluice/plugin";
import { asksForTrailers, dropNamed, isHopByHop, namedFields } from "./hop-by-hop.ts";

/**
 * Cleans a request's fields in place as it comes in, before the first step sees them, so that a client can
 * neither remove what a step adds nor forge what we vouch for:
 *
 * - hop-by-hop fields go, and every field that `Connection` names (RFC 9110 §7.6.1). It must happen before the
 *   steps run: a client that names `x-consumer` would else strip what `auth` sets.
 * - `TE` is left as `trailers`, or goes.
 * - `Expect` goes: the codec has answered 100 where it was to, and the body follows at once from here.
 * - `Upgrade` stays where it is an offer that can be passed on, without `h2c` (RFC 9113 §3.1); a step that removes
 *   it declines the offer.
 * - forwarding fields (`Forwarded`, `X-Forwarded-*`, `X-Real-IP`) go, unless the peer is a trusted proxy.
 * - the pieces of one `Cookie` are joined (RFC 9113 §8.2.3).
 *
 * @param believed whether the peer stands in `trusted_proxies`.
 * @param offer what the client offers to go on in, where it does (`Inbound.upgrade`).
 * @throws SluiceError `bad_request` where `Connection` names a field that is meant for everybody on the way;
 * `expectation_failed` for an expectation other than 100-continue (RFC 9110 §10.1.1).
 */
export function admitRequestHeaders(headers: HeaderList, believed: boolean, offer?: string): void {
  const flat = headers.flat;
  let named: string[] | undefined;
  let cookie = -1;
  let te = false;
  let to = 0;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    let value = flat[i + 1]!;
    if (isHopByHop(name)) {
      if (name === "connection") named = namedFields(value, named);
      continue;
    }
    switch (name.length) {
      case 2:
        if (name !== "te") break;
        if (te || !asksForTrailers(value)) continue;
        te = true;
        value = "trailers";
        break;
      case 6:
        if (name === "expect") {
          checkExpectation(value);
          continue;
        }
        if (name !== "cookie") break;
        if (cookie >= 0) {
          flat[cookie] += `; ${value}`;
          continue;
        }
        cookie = to + 1;
        break;
      default:
        if (!believed && isForwarding(name)) continue;
    }
    flat[to] = name;
    flat[to + 1] = value;
    to += 2;
  }
  if (to !== flat.length) flat.length = to;
  if (offer !== undefined) {
    const protocols = withoutH2c(offer);
    if (protocols !== "") flat.push("upgrade", protocols);
  }
  if (named !== undefined) {
    for (const name of named) if (isForEverybody(name)) throw refused();
    dropNamed(headers, named);
  }
}

/** Fields of a client's that are the codecs' own, and are in no list of theirs. */
const FRAMING = new Set(["content-length", "host", "transfer-encoding"]);

/**
 * What routes and steps see of the fields that a client writes: without those that the codecs keep for themselves and
 * those with `_` in their names, and admitted as {@link admitRequestHeaders} does it. For who asks what would become of a
 * request, as `sluice explain` does.
 *
 * @param fields names in any case.
 * @throws TypeError on a field that cannot be sent; SluiceError as {@link admitRequestHeaders}.
 */
export function admittedHeaders(
  fields: Iterable<readonly [name: string, value: string]>,
  believed: boolean,
): HeaderList {
  const headers = new HeaderList();
  for (const [name, value] of fields)
    if (!name.includes("_") && !FRAMING.has(name.toLowerCase())) headers.append(name, value);
  // RFC 9110 §7.8: an offer to upgrade is one where `Connection` says so.
  const offers = /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(headers.joined("connection") ?? "");
  admitRequestHeaders(headers, believed, offers ? headers.joined("upgrade") : undefined);
  return headers;
}

function withoutH2c(offer: string): string {
  if (!/h2c/i.test(offer)) return offer;
  const protocols = offer.split(",").map((protocol) => protocol.trim());
  return protocols.filter((protocol) => protocol.toLowerCase() !== "h2c").join(", ");
}

/** Whether a field tells about the hops before us. */
function isForwarding(name: string): boolean {
  const length = name.length;
  if (length === 9) return name === "forwarded" || name === "x-real-ip";
  return length > 12 && name.startsWith("x-forwarded-");
}

const FOR_EVERYBODY = new Set([
  "authorization",
  "cache-control",
  "cookie",
  "date",
  "expect",
  "host",
  "origin",
  "proxy-authorization",
  "range",
  "set-cookie",
  "via",
  "x-api-key",
]);

// RFC 9110 §7.6.1: a connection option must not name a field that is meant for all recipients. To strip it
// would change who the request is from, where it goes or what it holds.
function isForEverybody(name: string): boolean {
  return FOR_EVERYBODY.has(name) || name.startsWith("content-") || isForwarding(name) || name.startsWith(":");
}

function refused(): SluiceError {
  return new SluiceError("bad_request", "The Connection header names a field that is not its own.", {
    reason: "connection_header",
  });
}

function checkExpectation(value: string): void {
  if (value.toLowerCase() === "100-continue") return;
  throw new SluiceError("expectation_failed", "The only expectation that is met is 100-continue.", {
    reason: "expect",
  });
}
