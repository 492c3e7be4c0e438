import { type Exchange, type HeaderList, SluiceError } from "sluice/plugin";
import { uncheckedHeaders } from "../plugin/headers.ts";
import { forwardedElement } from "./forwarded.ts";
import { asksForTrailers, dropNamed, isHopByHop, namedFields } from "./hop-by-hop.ts";
import { countsForwards, oneForwardLess } from "./max-forwards.ts";

/** What of an exchange the outgoing fields are made of. */
export type Outgoing = Pick<Exchange, "request" | "connection" | "httpVersion">;

/** The rules for the fields of messages that pass, both ways. */
export interface HeaderRules {
  /**
   * A request's fields for the upstream, as a new list; `x.request.headers` stays. Expects them admitted
   * (`admitRequestHeaders`), so that forwarding fields which are there were sent by a trusted proxy or set by a step:
   *
   * - hop-by-hop and framing fields, which a step may have set, go; `Host` too: see {@link authorityOf};
   * - `Via` is added (RFC 9110 §7.6.3);
   * - `X-Forwarded-For` gets the peer's address appended; `X-Forwarded-Proto`, `-Host` and `-Port` are set where
   *   they are missing, because those that are there describe the client's own request;
   * - `Forwarded` gets an element appended. Where the proxies before us used only one of the two families,
   *   only that one goes on: the other would begin in the middle and name a proxy as the client (RFC 7239 §7.4);
   * - `Upgrade` is that of the offer, which is passed on to an HTTP/1.1 upstream;
   * - `Max-Forwards` of OPTIONS and TRACE is counted down (RFC 9110 §7.6.2).
   *
   * Nothing is invented beside these: no User-Agent, no Content-Type.
   * @param upgrade the protocols that are offered to the upstream; undefined for none.
   * @throws SluiceError `loop_detected` where `Via` says that the request was here before (RFC 9110 §7.6.3).
   */
  request(x: Outgoing, upgrade?: string): HeaderList;
  /**
   * Cleans an answer's fields in place: hop-by-hop ones and those that `Connection` names go, `Via` is added,
   * everything else stays as it came. What a 101 switches to stays in `Upgrade`.
   * @param version of the message that was received from the upstream.
   */
  response(status: number, headers: HeaderList, version: "1.1" | "2"): void;
  /** Cleans an informational answer's fields in place. */
  inform(headers: HeaderList): void;
}

/** @param pseudonym names this instance in `Via`; a token, unique among the proxies that a request may pass. */
export function createHeaderRules(pseudonym: string): HeaderRules {
  const via = { "1.0": `1.0 ${pseudonym}`, "1.1": `1.1 ${pseudonym}`, "2": `2 ${pseudonym}` } as const;
  return {
    request(x, upgrade) {
      const out = outgoing(x, pseudonym);
      if (upgrade !== undefined) out.push("upgrade", upgrade);
      out.push("via", via[x.httpVersion]);
      return uncheckedHeaders(out);
    },
    response(status, headers, version) {
      const switched = status === 101 ? headers.get("upgrade") : undefined;
      stripHopByHop(headers);
      if (switched !== undefined) headers.flat.push("upgrade", switched);
      headers.flat.push("via", via[version]);
    },
    inform: stripHopByHop,
  };
}

/**
 * The authority to ask an upstream for: a `Host` that a step has set, else what the client sent. "" where an
 * HTTP/1.0 client sent none.
 */
export function authorityOf(request: Exchange["request"]): string {
  // The codecs keep Host out of the list, so one that is there was set here.
  return request.headers.get("host") ?? request.authority;
}

function outgoing(x: Outgoing, pseudonym: string): string[] {
  const from = x.request.headers.flat;
  const out: string[] = [];
  let chain: string | undefined;
  let forwarded: string | undefined;
  let proto = false;
  let host = false;
  let port = false;
  for (let i = 0; i < from.length; i += 2) {
    const name = from[i]!;
    const value = from[i + 1]!;
    switch (name.length) {
      case 2:
        if (name !== "te") break;
        if (asksForTrailers(value)) out.push("te", "trailers");
        continue;
      case 3:
        if (name === "via" && names(value, pseudonym)) throw loopDetected();
        break;
      case 4:
        if (name === "host") continue;
        break;
      case 6:
        if (name === "expect") continue;
        break;
      case 9:
        if (name !== "forwarded") break;
        forwarded = forwarded === undefined ? value : `${forwarded}, ${value}`;
        continue;
      case 12:
        if (name === "max-forwards" && countsForwards(x.request.method)) {
          out.push(name, oneForwardLess(value));
          continue;
        }
        break;
      case 14:
        if (name === "content-length" || isHopByHop(name)) continue;
        break;
      case 15:
        if (name !== "x-forwarded-for") break;
        chain = chain === undefined ? value : `${chain}, ${value}`;
        continue;
      case 16:
        if (isHopByHop(name)) continue;
        if (name === "x-forwarded-host") host = true;
        else if (name === "x-forwarded-port") port = true;
        break;
      case 17:
        if (isHopByHop(name)) continue;
        if (name === "x-forwarded-proto") proto = true;
        break;
      default:
        if (isHopByHop(name)) continue;
    }
    out.push(name, value);
  }

  const { peerAddress, localPort } = x.connection;
  const { authority, scheme } = x.request;
  if (forwarded === undefined || chain !== undefined) {
    // A unix socket's peer has no address to tell.
    if (peerAddress !== "unix")
      out.push("x-forwarded-for", chain === undefined ? peerAddress : `${chain}, ${peerAddress}`);
    else if (chain !== undefined) out.push("x-forwarded-for", chain);
    if (!proto) out.push("x-forwarded-proto", scheme);
    if (!host && authority !== "") out.push("x-forwarded-host", authority);
    if (!port && localPort > 0) out.push("x-forwarded-port", String(localPort));
  }
  if (chain === undefined || forwarded !== undefined) {
    const element = forwardedElement(peerAddress, authority, scheme);
    out.push("forwarded", forwarded === undefined ? element : `${forwarded}, ${element}`);
  }
  return out;
}

/** Whether one of the proxies in a `Via` is called so: protocol, name, perhaps a comment (RFC 9110 §7.6.3). */
function names(via: string, pseudonym: string): boolean {
  if (!via.includes(pseudonym)) return false;
  return via.split(",").some((hop) => hop.trim().split(/[ \t]+/)[1] === pseudonym);
}

function loopDetected(): SluiceError {
  return new SluiceError("loop_detected", "The request has passed this gateway before.", { reason: "loop" });
}

function stripHopByHop(headers: HeaderList): void {
  const flat = headers.flat;
  let named: string[] | undefined;
  let to = 0;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (isHopByHop(name)) {
      if (name === "connection") named = namedFields(flat[i + 1]!, named);
      continue;
    }
    if (to !== i) {
      flat[to] = name;
      flat[to + 1] = flat[i + 1]!;
    }
    to += 2;
  }
  if (to !== flat.length) flat.length = to;
  if (named !== undefined) dropNamed(headers, named);
}
