import type { ConnectionFacts, HeaderList } from "sluice/plugin";
import { canonicalAddress, ipv4Number } from "../net/ip-address.ts";
import type { Trust } from "../net/trusted-proxies.ts";

/** How a socket on `[::]` writes an IPv4 peer (RFC 4291 §2.5.5.2). */
const MAPPED = "::ffff:";

export interface ClientAddress {
  /** IPv4, IPv6 after RFC 5952, or `unix`. */
  readonly address: string;
  /** Whether the peer is a trusted proxy, so that its forwarding fields are believed. */
  readonly fromTrustedProxy: boolean;
}

/**
 * Who sent a request: the peer; or, where the peer is a trusted proxy, the first address that is not one,
 * walking `X-Forwarded-For` from the right (`Forwarded`, RFC 7239, where there is no `X-Forwarded-For`). An
 * entry that is no address ends the walk at the last proxy that could be named, because what stands left of it
 * has no witness; where all of them are trusted, it is the left-most.
 */
export function clientAddress(
  connection: Pick<ConnectionFacts, "peerAddress">,
  headers: HeaderList,
  trusts: Trust,
): ClientAddress {
  const peer = plain(connection.peerAddress);
  if (!trusts(peer)) return { address: peer, fromTrustedProxy: false };
  const chain = headers.has("x-forwarded-for")
    ? forwardedFor(headers.all("x-forwarded-for"))
    : forwarded(headers.all("forwarded"));
  let address = peer;
  for (const entry of chain) {
    if (entry === undefined) break;
    address = entry;
    if (!trusts(entry)) break;
  }
  return { address, fromTrustedProxy: true };
}

/** The peer in the form that addresses are compared in; sockets name IPv4 peers `::ffff:…` on `[::]`. */
function plain(peer: string): string {
  if (peer.charCodeAt(0) !== 0x3a) return peer;
  // It comes with every request: what is behind the prefix is in its normal form already.
  if (peer.startsWith(MAPPED)) {
    const ipv4 = peer.slice(MAPPED.length);
    if (ipv4Number(ipv4) >= 0) return ipv4;
  }
  return canonicalAddress(peer) ?? peer;
}

/** Addresses from the right; undefined for an entry that names none. */
function* forwardedFor(lines: readonly string[]): Generator<string | undefined> {
  for (let line = lines.length - 1; line >= 0; line--) {
    const entries = lines[line]!.split(",");
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = entries[i]!.trim();
      // RFC 9110 §5.6.1.2: empty list elements do not count.
      if (entry !== "") yield addressOf(entry);
    }
  }
}

function* forwarded(lines: readonly string[]): Generator<string | undefined> {
  for (let line = lines.length - 1; line >= 0; line--) {
    for (const element of elementsFromRight(lines[line]!)) yield forOf(element);
  }
}

/**
 * The elements of one `Forwarded` line. It is taken apart from the right, so that an unbalanced quote in what
 * a client sent cannot swallow what the proxies behind it appended.
 */
function* elementsFromRight(line: string): Generator<string> {
  let end = line.length;
  let quoted = false;
  for (let i = line.length - 1; i >= -1; i--) {
    const char = line[i];
    if (char === '"' && line[i - 1] !== "\\") quoted = !quoted;
    if (i >= 0 && (char !== "," || quoted)) continue;
    const element = line.slice(i + 1, end).trim();
    if (element !== "") yield element;
    end = i;
  }
}

/** One pair of RFC 7239 §4: a token, then a token or a quoted string. Old proxies leave `[` and `:` unquoted. */
const PAIR = /\s*([\w!#$%&'*+\-.^`|~]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+\-.^`|~:[\]]+))\s*(?:;|$)/y;

function forOf(element: string): string | undefined {
  let found: string | undefined;
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < element.length) {
    const pair = PAIR.exec(element);
    if (pair === null) return undefined;
    if (pair[1]!.toLowerCase() !== "for") continue;
    // RFC 7239 §4: a parameter must not occur twice.
    if (found !== undefined) return undefined;
    found = pair[2]?.replace(/\\(.)/g, "$1") ?? pair[3]!;
  }
  return found === undefined ? undefined : addressOf(found);
}

/** `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, `2001:db8::1`; a port may be obfuscated. */
const ENTRY = /^(?:\[([^\]]+)\]|([\d.]+))(?::(?:\d{1,5}|_[\w.-]+))?$/;

function addressOf(entry: string): string | undefined {
  const match = ENTRY.exec(entry);
  return canonicalAddress(match === null ? entry : (match[1] ?? match[2]!));
}
