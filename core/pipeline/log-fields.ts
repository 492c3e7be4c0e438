import type { RequestRecord } from "./types.ts";

/** Fields that plugins may add to one line. */
const MAX_FIELDS = 32;
/** Longest text of a field. */
const MAX_TEXT = 512;

const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/**
 * Sets a field of the request's access log line, or takes it away; see `Exchange.logField`.
 * @throws TypeError on an illegal name or value.
 */
export function addLogField(
  record: RequestRecord,
  name: string,
  value: string | number | boolean | undefined,
): void {
  if (!NAME.test(name)) throw new TypeError(`illegal name of a log field: ${JSON.stringify(name)}`);
  if (value === undefined) {
    record.fields?.delete(name);
    return;
  }
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
    throw new TypeError(`the log field ${name} is no text, number or boolean`);
  const fields = (record.fields ??= new Map());
  if (fields.size >= MAX_FIELDS && !fields.has(name)) return;
  fields.set(
    name,
    typeof value === "string" && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value,
  );
}
