/** What stands for a value that nobody may read. */
export const MASK = "***";

// Whole words of a name, so that `token_count` of a usage report is no secret and `admin_token` is one.
const SECRET_NAME =
  /(^|[-_.])(authorization|cookie|set-cookie|password|passwd|secret|token|api[-_]?key|apikey|credential|credentials|private[-_]?key|session|signature)$/i;

/** Whether a header, query or configuration key of that name holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/**
 * A copy of `value` with everything under a secret-looking name masked; for log fields. Errors become their
 * message, stack and cause; depth and breadth are bounded, cycles are cut.
 */
export function masked(value: unknown, extra: ReadonlySet<string> = NONE, depth = 0): unknown {
  if (value instanceof Error) return describeError(value, depth);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= 6) return "…";
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => masked(item, extra, depth + 1));
  if (value instanceof Date) return value.toISOString();
  const entries = value instanceof Map ? value.entries() : Object.entries(value);
  const copy: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    const name = String(key);
    copy[name] = isSecretName(name) || extra.has(name.toLowerCase()) ? MASK : masked(item, extra, depth + 1);
  }
  return copy;
}

const NONE: ReadonlySet<string> = new Set();

function describeError(error: Error, depth: number): Record<string, unknown> {
  const described: Record<string, unknown> = { type: error.name, message: error.message };
  if (error.stack !== undefined) described["stack"] = error.stack;
  if (error.cause !== undefined && depth < 6) described["cause"] = masked(error.cause, NONE, depth + 1);
  return described;
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
