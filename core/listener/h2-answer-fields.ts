import type { HeaderList } from "sluice/plugin";
import { isConnectionSpecific, permittedTrailers } from "../http2/index.ts";

/* An answer's fields as HTTP/2 has them: names and values alternating, for the header block's encoder. */

/**
 * The fields of a final answer.
 * @param length of the body, where it is known and sent
 * @param keepLength whether what `headers` say of it stays
 */
export function answerFields(
  status: number,
  headers: HeaderList,
  length: number | undefined,
  keepLength: boolean,
  date: string,
): string[] {
  const { flat } = headers;
  const fields: string[] = [":status", statusText(status)];
  let dated = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === "content-length" ? !keepLength : isConnectionSpecific(name)) continue;
    if (name === "date") dated = true;
    fields.push(name, flat[i + 1]!);
  }
  if (length !== undefined) fields.push("content-length", String(length));
  if (!dated) fields.push("date", date);
  return fields;
}

/** The fields of an informational answer. */
export function informFields(status: number, headers: HeaderList): string[] {
  const { flat } = headers;
  const fields: string[] = [":status", statusText(status)];
  for (let i = 0; i < flat.length; i += 2) {
    if (!isConnectionSpecific(flat[i]!)) fields.push(flat[i]!, flat[i + 1]!);
  }
  return fields;
}

/** An answer's trailer fields, without those that a trailer section may not hold. */
export function trailerFields(trailers: HeaderList | undefined): string[] {
  return trailers === undefined ? [] : permittedTrailers(trailers.flat);
}

function statusText(status: number): string {
  return status === 200 ? "200" : String(status);
}
