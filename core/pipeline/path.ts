/** A request target, taken apart: what is matched, logged as the path, and forwarded. */
export interface NormalTarget {
  /** The path in normal form, or `*` for `OPTIONS *`. */
  readonly path: string;
  /** The query with its `?` as it was sent, or "". */
  readonly search: string;
}

/** What becomes of a byte that stands in a path. */
const KEEP = 0;
/** Neither reserved nor unreserved (RFC 3986 §2.2, §2.3): has no form in a URI but the escape. */
const ESCAPE = 1;
const REFUSE = 2;
const PERCENT = 3;
const QUERY = 4;
const SLASH = 5;

const CLASS = classes();

/**
 * The normal form of a request target in origin-form or absolute-form (RFC 9112 §3.2; scheme and authority of
 * the latter are cut off, the codec has read them), or undefined for one that is to be answered 400.
 *
 * In the path, every spelling of one path becomes the same string, which routes match and upstreams get:
 * - unreserved characters stand plain (`%41` → `A`, RFC 3986 §6.2.2.2), reserved ones as they were sent
 *   (`%2F`, `%3B` and `;` all stay), every other byte as an escape in upper-case hex (`{` → `%7B`);
 * - then dot segments are removed, `%2e` ones included (RFC 3986 §5.2.4); above the root there is the root;
 * - doubled slashes are kept: they name another resource (RFC 3986 §3.3 allows empty segments).
 *
 * Refused: an escape that is none (`%zz`, `%4`), `%00` (ends the path for upstreams in C), a backslash (a
 * slash to some parsers, so that `/..\` could climb), control characters, spaces and a fragment anywhere. The
 * query passes byte for byte: what its escapes mean is the upstream's matter.
 *
 * @param method decides whether `*` is a target (RFC 9112 §3.2.4). @default "GET"
 */
export function normalizeTarget(rawTarget: string, method = "GET"): NormalTarget | undefined {
  if (rawTarget.charCodeAt(0) !== 0x2f) return otherForm(rawTarget, method);
  const end = rawTarget.length;
  for (let i = 0; i < end; i++) {
    const code = rawTarget.charCodeAt(i);
    const kind = code < 256 ? CLASS[code]! : REFUSE;
    if (kind === KEEP) continue;
    if (kind === SLASH) {
      // Only a segment that begins with a dot may be a dot segment.
      if (rawTarget.charCodeAt(i + 1) === 0x2e) return slowly(rawTarget);
      continue;
    }
    if (kind !== QUERY) return slowly(rawTarget);
    const search = rawTarget.slice(i);
    return queryIsClean(search) ? { path: rawTarget.slice(0, i), search } : undefined;
  }
  return { path: rawTarget, search: "" };
}

/**
 * The normal form of a path that an operator wrote, so that it can be compared with a request's; non-ASCII
 * characters stand for their UTF-8 bytes. Undefined where it is not an absolute path without a query.
 */
export function normalizePath(path: string): string | undefined {
  const bytes = Buffer.from(path, "utf8").toString("latin1");
  const target = bytes.startsWith("/") ? normalizeTarget(bytes) : undefined;
  return target?.search === "" ? target.path : undefined;
}

function otherForm(rawTarget: string, method: string): NormalTarget | undefined {
  if (rawTarget === "*") return method === "OPTIONS" ? { path: "*", search: "" } : undefined;
  const origin = /^https?:\/\/[^/?#\\]+/i.exec(rawTarget)?.[0];
  if (origin === undefined) return undefined;
  const rest = rawTarget.slice(origin.length);
  // RFC 9112 §3.2.4: in absolute-form, OPTIONS of the server as a whole has an empty path and no query.
  if (rest === "") return { path: method === "OPTIONS" ? "*" : "/", search: "" };
  return normalizeTarget(rest.startsWith("?") ? `/${rest}` : rest);
}

function slowly(rawTarget: string): NormalTarget | undefined {
  const mark = rawTarget.indexOf("?");
  const search = mark < 0 ? "" : rawTarget.slice(mark);
  if (!queryIsClean(search)) return undefined;
  const path = withNormalEscapes(mark < 0 ? rawTarget : rawTarget.slice(0, mark));
  if (path === undefined) return undefined;
  return { path: path.includes("/.") ? withoutDotSegments(path) : path, search };
}

function withNormalEscapes(path: string): string | undefined {
  let out = "";
  let copied = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    const kind = code < 256 ? CLASS[code]! : REFUSE;
    if (kind === KEEP || kind === SLASH) continue;
    if (kind === ESCAPE) {
      out += path.slice(copied, i) + escapeOf(code);
    } else if (kind === PERCENT) {
      const byte = hexDigit(path.charCodeAt(i + 1)) * 16 + hexDigit(path.charCodeAt(i + 2));
      // NaN: a digit is missing or is none.
      if (!(byte > 0)) return undefined;
      out += path.slice(copied, i) + (isUnreserved(byte) ? String.fromCharCode(byte) : escapeOf(byte));
      i += 2;
    } else return undefined;
    copied = i + 1;
  }
  return copied === 0 ? path : out + path.slice(copied);
}

function withoutDotSegments(path: string): string {
  const segments = path.split("/");
  const kept: string[] = [];
  // The first is the nothing before the first slash.
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    if (segment !== "." && segment !== "..") {
      kept.push(segment);
      continue;
    }
    if (segment === "..") kept.pop();
    // A dot segment at the end leaves its slash: `/a/..` is `/`, `/a/.` is `/a/`.
    if (i === segments.length - 1) kept.push("");
  }
  return `/${kept.join("/")}`;
}

function queryIsClean(search: string): boolean {
  for (let i = 0; i < search.length; i++) {
    const code = search.charCodeAt(i);
    if (code <= 0x20 || code === 0x23 || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

function classes(): Uint8Array {
  const table = new Uint8Array(256).fill(ESCAPE);
  table.fill(REFUSE, 0, 0x21);
  table[0x7f] = REFUSE;
  for (let code = 0x21; code < 0x7f; code++) if (isUnreserved(code)) table[code] = KEEP;
  for (const reserved of ":[]@!$&'()*+,;=") table[reserved.charCodeAt(0)] = KEEP;
  for (const refused of "#\\") table[refused.charCodeAt(0)] = REFUSE;
  table[0x25] = PERCENT;
  table[0x2f] = SLASH;
  table[0x3f] = QUERY;
  return table;
}

/** RFC 3986 §2.3: ALPHA / DIGIT / "-" / "." / "_" / "~". */
function isUnreserved(code: number): boolean {
  const lower = code | 0x20;
  if (lower >= 0x61 && lower <= 0x7a) return true;
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e;
}

function escapeOf(byte: number): string {
  return `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
}

/** The value of a hex digit's character code, or NaN. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}
