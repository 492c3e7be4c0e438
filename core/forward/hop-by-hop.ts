import type { HeaderList } from "sluice/plugin";

/**
 * Whether a field is about one connection and never passes on: those of RFC 9110 §7.6.1, `Trailer` (what
 * trailers there are is announced anew by whoever sends them) and `HTTP2-Settings` (RFC 9113 §3.1). `TE` is
 * left to the caller, since one of its values passes.
 */
export function isHopByHop(name: string): boolean {
  // By length first: most names are settled without a comparison of characters.
  switch (name.length) {
    case 7:
      return name === "trailer" || name === "upgrade";
    case 10:
      return name === "connection" || name === "keep-alive";
    case 14:
      return name === "http2-settings";
    case 16:
      return name === "proxy-connection";
    case 17:
      return name === "transfer-encoding";
    default:
      return false;
  }
}

/** Connection options that are no field, or whose field is dealt with by itself. */
const OPTIONS = new Set([
  "",
  "close",
  "keep-alive",
  "te",
  "upgrade",
  "trailer",
  "trailers",
  "proxy-connection",
  "transfer-encoding",
  "http2-settings",
]);

/**
 * The fields that a `Connection` value names beside the well-known ones, added to those that earlier lines
 * `named`; undefined where there are none.
 */
export function namedFields(connection: string, named: string[] | undefined): string[] | undefined {
  if (OPTIONS.has(connection)) return named;
  for (const part of connection.split(",")) {
    const option = part.trim().toLowerCase();
    if (OPTIONS.has(option)) continue;
    if (named === undefined) named = [option];
    else named.push(option);
  }
  return named;
}

/** Removes the fields under these names, in place. */
export function dropNamed(headers: HeaderList, names: readonly string[]): void {
  for (const name of names) headers.delete(name);
}

/** Whether a `TE` value lists `trailers` (RFC 9110 §10.1.4), the only coding that holds from end to end. */
export function asksForTrailers(te: string): boolean {
  return te === "trailers" || te.split(",").some((coding) => coding.trim().toLowerCase() === "trailers");
}
