import { isConnectionSpecific } from "../http2/index.ts";
import type { Call } from "./call.ts";
import { wrongLength } from "./failures.ts";

// What a plugin or a rewrite made of a target must not become another one behind the next hop.
const UNSAFE = /[^\x21-\x7e]/;

/**
 * A request's head: pseudo-fields first (RFC 9113 §8.3), then the fields as they are.
 * @throws TypeError for white space, a control byte or non-ASCII in method, target or authority; SluiceError where
 * a body that is at hand is not what it announced
 */
export function headOf(call: Call): string[] {
  const { method, scheme, authority, target, headers, body } = call.request;
  if (UNSAFE.test(target) || UNSAFE.test(method) || UNSAFE.test(authority)) {
    throw new TypeError("a byte that may not stand in :path, :method or :authority");
  }
  if (call.whole && body?.length !== undefined && body.length !== (call.bytes?.byteLength ?? 0)) {
    throw wrongLength(body.length);
  }
  const flat = [":method", method, ":scheme", scheme, ":authority", authority, ":path", target];
  const fields = headers.flat;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (!isConnectionSpecific(name) && !OURS.has(name)) flat.push(name, fields[i + 1]!);
  }
  if (body?.length !== undefined) flat.push("content-length", String(body.length));
  return flat;
}

/**
 * The status, where `:status` stands first and is the only pseudo-field, and nothing is of HTTP/1.1 (RFC 9113 §8.2.2) or
 * leaves the length open (RFC 9110 §8.6).
 */
export function statusOf(flat: readonly string[]): number | undefined {
  if (flat[0] !== ":status" || !/^[1-9]\d\d$/.test(flat[1]!)) return undefined;
  let lengths = 0;
  for (let i = 2; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === "content-length" && ++lengths > 1) return undefined;
    if (name.charCodeAt(0) === 58 || isConnectionSpecific(name)) return undefined;
  }
  return Number(flat[1]);
}

/** What the transport says itself. */
const OURS: ReadonlySet<string> = new Set(["host", "content-length"]);
