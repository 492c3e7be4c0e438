import type { HeaderList, Random } from "sluice/plugin";

/** What a `traceparent` says (W3C Trace Context, level 2, §3.2). */
export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** Of `trace-flags`: whether the caller recorded its span. */
  readonly sampled: boolean;
  /** Of `trace-flags`: whether the trace id is random. */
  readonly random: boolean;
}

const TRACEPARENT =
  /^(?!ff)(?<version>[0-9a-f]{2})-(?!0{32})(?<traceId>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?<flags>[0-9a-f]{2})(?<rest>-.*)?$/;

/**
 * The one `traceparent` of a request. Undefined where there is none, several, or one that is malformed: an
 * unknown length of version 00, upper-case digits, ids of zeros, version ff. A later version is read as far as
 * version 00 goes (§3.2.4).
 */
export function readTraceParent(headers: HeaderList): TraceParent | undefined {
  const value = headers.get("traceparent");
  if (value === undefined) return undefined;
  const groups = TRACEPARENT.exec(value)?.groups;
  if (groups === undefined || (groups["version"] === "00" && groups["rest"] !== undefined)) return undefined;
  if (headers.all("traceparent").length > 1) return undefined;
  const flags = parseInt(groups["flags"]!, 16);
  return { traceId: groups["traceId"]!, sampled: (flags & 1) !== 0, random: (flags & 2) !== 0 };
}

/** A trace that begins here, and the id of the span that we are in it. */
export function newTraceParent(
  random: Random,
  sampled: boolean,
): { readonly parent: TraceParent; readonly spanId: string } {
  // Drawn at once: what it costs is the call, whatever its length.
  const digits = random.hex(24);
  return { parent: { traceId: digits.slice(0, 32), sampled, random: true }, spanId: digits.slice(32) };
}

/** The field for the upstream: version 00, with `spanId` (16 hex digits) as the caller's span. */
export function writeTraceParent({ traceId, sampled, random }: TraceParent, spanId: string): string {
  // Flags that version 00 does not define are sent as zero (§3.2.2.5).
  const flags = (sampled ? 1 : 0) | (random ? 2 : 0);
  return `00-${traceId}-${spanId}-0${flags}`;
}
