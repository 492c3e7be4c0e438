import { HeaderList } from "sluice/plugin";
import { isSecretKey, MASK, maskUserInfo } from "../../config/secrets.ts";

/** Longest text of a log field, in UTF-16 units. */
const MAX_TEXT = 16_384;
/** Items of a list, or fields of an object, that a log line carries. */
const MAX_ITEMS = 100;
const MAX_DEPTH = 6;
/** Values of one line in all: of an object that refers to itself there is no end at any depth that is worth a look. */
const MAX_VALUES = 2_000;
/** Stands for what threw when it was looked at. */
const UNREADABLE = "(unreadable)";

// What traffic and plugins' fields call their secrets beside what a configuration does.
const SECRET_FIELD = /(^|[-_.])(cookies|pwd|jwt|access[-_]?key|session|signature)$/i;

/** Whether a header, a query parameter or a log field of that name holds a secret. */
export function isSecretName(name: string): boolean {
  if (isSecretKey(name) || SECRET_FIELD.test(name)) return true;
  // `accessToken` has two words.
  return /[a-z\d][A-Z]/.test(name) && isSecretName(name.replace(/([a-z\d])(?=[A-Z])/g, "$1-"));
}

/**
 * A copy of `value` with everything under a secret-looking name masked, and the secrets in its texts; for log
 * fields. Errors become their message, stack and cause; depth, breadth and length are bounded, cycles are cut.
 * It never throws, whatever the value does when it is looked at.
 */
export function masked(value: unknown, extra: ReadonlySet<string> = NONE): unknown {
  return maskedAt(value, { extra, left: MAX_VALUES }, 0);
}

const NONE: ReadonlySet<string> = new Set();

/** One line on its way. */
interface Line {
  /** Names that the operator wants masked. */
  readonly extra: ReadonlySet<string>;
  /** Values that it may still hold. */
  left: number;
}

function maskedAt(value: unknown, line: Line, depth: number): unknown {
  try {
    return copyOf(value, line, depth);
  } catch {
    return UNREADABLE;
  }
}

function copyOf(value: unknown, line: Line, depth: number): unknown {
  if (typeof value === "string") return maskText(value);
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  if (typeof value === "function") return `(function ${value.name})`;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return describeError(value, line, depth);
  if (depth >= MAX_DEPTH) return "…";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof URL) return maskText(value.href);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `(${value.byteLength} bytes)`;
  if (value instanceof HeaderList) return fieldsOf(value, line, depth);
  if (Array.isArray(value) || value instanceof Set) return listOf(value, line, depth);
  if (value instanceof Map || value instanceof Headers || value instanceof URLSearchParams)
    return fieldsOf(value.entries(), line, depth);
  return fieldsOf(readable(value), line, depth);
}

function listOf(items: Iterable<unknown>, line: Line, depth: number): unknown[] {
  const copy: unknown[] = [];
  for (const item of items) {
    if (copy.length === MAX_ITEMS || line.left-- <= 0) {
      copy.push("…");
      break;
    }
    // One entry of a header list.
    const isField = Array.isArray(item) && item.length === 2 && typeof item[0] === "string";
    copy.push(
      isField && isSecret(item[0] as string, line) ? [item[0], MASK] : maskedAt(item, line, depth + 1),
    );
  }
  return copy;
}

function fieldsOf(
  entries: Iterable<readonly [unknown, unknown]>,
  line: Line,
  depth: number,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let count = 0;
  for (const [key, item] of entries) {
    if (count++ === MAX_ITEMS || line.left-- <= 0) {
      copy["…"] = "…";
      break;
    }
    const name = String(key);
    copy[name] = isSecret(name, line) ? MASK : maskedAt(item, line, depth + 1);
  }
  return copy;
}

/** An object's own fields; one whose getter throws costs that field alone. */
function* readable(value: object): Generator<[string, unknown]> {
  for (const key of Object.keys(value)) {
    let item: unknown;
    try {
      item = (value as Record<string, unknown>)[key];
    } catch {
      item = UNREADABLE;
    }
    yield [key, item];
  }
}

function isSecret(name: string, { extra }: Line): boolean {
  return isSecretName(name) || extra.has(name.toLowerCase());
}

function describeError(error: Error, line: Line, depth: number): Record<string, unknown> {
  // Somebody else's errors may hold anything there.
  const { name, message, code, stack, cause } = error as unknown as Record<string, unknown>;
  const described: Record<string, unknown> = { type: String(name), message: maskText(String(message)) };
  if (typeof code === "string" || typeof code === "number") described["code"] = code;
  if (typeof stack === "string") described["stack"] = maskText(stack);
  if (depth >= MAX_DEPTH) return described;
  if (cause !== undefined) described["cause"] = maskedAt(cause, line, depth + 1);
  if (error instanceof AggregateError) described["errors"] = maskedAt(error.errors, line, depth + 1);
  return described;
}

/** A credential behind its scheme. Prose about a scheme ("basic authentication") has no such characters. */
const CREDENTIAL = /\b(bearer|basic)\s{1,8}(?=\S*[\d=_~+/])[\w.~+/=-]{8,}/gi;

/** A text, shortened where it is long, without what shows itself as a secret: credentials, the queries of URLs. */
export function maskText(text: string): string {
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  const urls = shown.includes("://") ? shown.replace(/[^\s"'<>`]+/g, maskUrl) : shown;
  return urls.replace(CREDENTIAL, `$1 ${MASK}`);
}

function maskUrl(word: string): string {
  const scheme = word.indexOf("://");
  if (scheme === -1) return word;
  const plain = maskUserInfo(word);
  const at = plain.slice(scheme).search(/[?#]/);
  if (at === -1) return plain;
  const rest = plain.slice(scheme + at);
  // A fragment may hold what a query may: `#access_token=…`.
  return plain.slice(0, scheme + at) + (rest.startsWith("#") ? `#${MASK}` : maskQuery(rest));
}

/** A query string with every value masked: `?q=***&page=***`. */
export function maskQuery(search: string): string {
  if (search.length < 2) return search;
  let out = "?";
  for (const [i, part] of search.slice(1).split("&").entries()) {
    if (i > 0) out += "&";
    const equals = part.indexOf("=");
    // A part without "=" may be a bare token, so it is masked as well.
    out += equals === -1 ? (part === "" ? "" : MASK) : `${part.slice(0, equals)}=${MASK}`;
  }
  return out;
}
