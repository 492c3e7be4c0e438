import { CONSUMER, type Exchange, nearest, TENANT, TRACE_ID } from "sluice/plugin";

/** A header value that is made for each request; "" where there is nothing to say. */
export type Template = (exchange: Exchange) => string;

type Fact = (exchange: Exchange) => string | undefined;

const FACTS: Readonly<Record<string, Fact>> = {
  client_address: (exchange) => exchange.clientAddress,
  consumer: (exchange) => exchange.get(CONSUMER),
  host: ({ request }) => request.authority,
  http_version: (exchange) => exchange.httpVersion,
  method: ({ request }) => request.method,
  path: ({ request }) => request.path,
  protocol: (exchange) => exchange.protocol,
  request_id: (exchange) => exchange.requestId,
  route: (exchange) => exchange.route,
  scheme: ({ request }) => request.scheme,
  tenant: (exchange) => exchange.get(TENANT),
  trace_id: (exchange) => exchange.get(TRACE_ID),
};

/** What may stand in braces; `header.NAME` beside these. */
export const FACT_NAMES: readonly string[] = Object.keys(FACTS);

const HEADER = "header.";
const HEADER_FACT = /^header\.(?<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)$/;

/** A template's problem, to be read behind the place where it stands. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/**
 * Compiles `text` with `{fact}` in it; `{{` and `}}` stand for single braces. The text is printable ASCII; a
 * fact that holds anything else comes out percent-encoded as UTF-8 (RFC 3986 §2.1).
 * @throws TemplateError
 */
export function compileTemplate(text: string): Template {
  const parts = parse(text);
  const only = parts.length === 1 ? parts[0] : undefined;
  if (typeof only === "string") return () => only;
  return (exchange) => {
    let value = "";
    for (const part of parts) value += typeof part === "string" ? part : part(exchange);
    return value.trim();
  };
}

function parse(text: string): (string | Template)[] {
  if (/[^\t\x20-\x7e]/.test(text)) throw new TemplateError("a header value is printable ASCII");
  if (text.trim() === "")
    throw new TemplateError("a header value is not empty; use remove to take a field away");
  if (text.trim() !== text) throw new TemplateError("a header value has no blanks around it");
  const parts: (string | Template)[] = [];
  let literal = "";
  // In turn: an escaped brace, a placeholder, a single brace, and what has no brace.
  for (const [piece, inner] of text.matchAll(/\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+/g)) {
    if (inner !== undefined) {
      if (literal !== "") parts.push(literal);
      literal = "";
      parts.push(factOf(inner));
    } else if (piece === "{" || piece === "}")
      throw new TemplateError(`a single ${piece} is written ${piece}${piece}`);
    else literal += piece === "{{" ? "{" : piece === "}}" ? "}" : piece;
  }
  if (literal !== "") parts.push(literal);
  return parts;
}

function factOf(name: string): Template {
  const fact = Object.hasOwn(FACTS, name) ? FACTS[name] : undefined;
  if (fact !== undefined) return (exchange) => printable(fact(exchange));
  const header = HEADER_FACT.exec(name)?.groups?.["name"]?.toLowerCase();
  // Bytes that came in a header go out as they are.
  if (header !== undefined) return ({ request }) => request.headers.joined(header) ?? "";
  if (!/^[\w.-]+$/.test(name)) throw new TemplateError("a single { is written {{");
  const meant =
    nearest(name, FACT_NAMES) ?? (name.startsWith(HEADER.slice(0, -1)) ? `${HEADER}NAME` : undefined);
  throw new TemplateError(
    `unknown placeholder {${name}}${meant === undefined ? "" : `, did you mean {${meant}}?`}`,
  );
}

function printable(value: string | undefined): string {
  if (value === undefined) return "";
  return /[^\t\x20-\x7e]/.test(value) ? value.replace(/[^\x21-\x7e]+/g, encodeSafely) : value;
}

function encodeSafely(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
