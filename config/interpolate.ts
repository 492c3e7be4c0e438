/*
 * `${NAME}`, `${NAME:-default}` and `${file:path}` inside a value; `$${` stands for a literal `${`. Defaults and
 * paths may hold interpolations themselves. What comes from outside is not read for interpolations again.
 */

type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "env"; readonly name: string; readonly fallback: readonly Part[] | undefined }
  | { readonly kind: "file"; readonly path: readonly Part[] };

export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The content of a file named in `${file:…}`. @throws InterpolationError */
  readFile(path: string): Promise<string>;
}

export interface Interpolated {
  readonly value: string;
  /** `${NAME}` and `${file:path}` as they can be shown: without defaults. */
  readonly expressions: readonly string[];
  readonly fromFile: boolean;
}

/** The value cannot be made; the message is for the operator and holds no value. */
export class InterpolationError extends Error {
  override readonly name = "InterpolationError";
}

/** A value of one scalar may become this long, in UTF-16 units. */
const MAX_LENGTH = 1_048_576;
const MAX_NESTING = 8;
const EXPECTED = "expected ${NAME}, ${NAME:-default}, ${file:path}, or $${ for a literal ${";

/** Whether {@link interpolate} would change the text. */
export function hasInterpolation(text: string): boolean {
  return text.includes("${");
}

/** @throws InterpolationError for wrong syntax, and for a variable or a file that is missing. */
export async function interpolate(text: string, sources: Sources): Promise<Interpolated> {
  const parts = new TemplateParser(text).template(0);
  const expressions: string[] = [];
  const value = await evaluate(parts, sources, expressions);
  const shown = [...new Set(expressions)];
  return {
    value,
    expressions: shown,
    fromFile: shown.some((expression) => expression.startsWith("${file:")),
  };
}

async function evaluate(parts: readonly Part[], sources: Sources, expressions: string[]): Promise<string> {
  let value = "";
  for (const part of parts) {
    value += part.kind === "text" ? part.text : await evaluatePart(part, sources, expressions);
    if (value.length > MAX_LENGTH)
      throw new InterpolationError(`the value is longer than ${MAX_LENGTH} characters`);
  }
  return value;
}

async function evaluatePart(
  part: Exclude<Part, { kind: "text" }>,
  sources: Sources,
  expressions: string[],
): Promise<string> {
  if (part.kind === "file") {
    const path = await evaluate(part.path, sources, []);
    expressions.push(`\${file:${path}}`);
    return (await sources.readFile(path)).replace(/\r?\n$/, "");
  }
  expressions.push(`\${${part.name}}`);
  // As in a shell, `:-` also stands in for a variable that is set to nothing (POSIX 2.6.2).
  const found = Object.hasOwn(sources.env, part.name) ? sources.env[part.name] : undefined;
  if (part.fallback !== undefined && (found === undefined || found === "")) {
    return evaluate(part.fallback, sources, expressions);
  }
  if (found === undefined) {
    throw new InterpolationError(`the environment variable ${part.name} is not set and has no default`);
  }
  return found;
}

class TemplateParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Up to the end of the text, or to the `}` that closes the expression around it. */
  template(nesting: number): Part[] {
    if (nesting > MAX_NESTING) throw new InterpolationError("interpolations are nested too deeply");
    const text = this.#text;
    const parts: Part[] = [];
    let literal = "";
    while (this.#at < text.length && (nesting === 0 || text[this.#at] !== "}")) {
      if (text.startsWith("$${", this.#at)) {
        literal += "${";
        this.#at += 3;
      } else if (text.startsWith("${", this.#at)) {
        if (literal !== "") parts.push({ kind: "text", text: literal });
        literal = "";
        this.#at += 2;
        parts.push(this.#expression(nesting));
      } else literal += text[this.#at++]!;
    }
    if (literal !== "") parts.push({ kind: "text", text: literal });
    return parts;
  }

  #expression(nesting: number): Part {
    const rest = this.#text.slice(this.#at);
    if (rest.startsWith("file:")) {
      this.#at += 5;
      const path = this.template(nesting + 1);
      this.#close();
      if (path.length === 0) throw new InterpolationError(`\${file:} names no file, ${EXPECTED}`);
      return { kind: "file", path };
    }
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest)?.[0];
    if (name === undefined) throw new InterpolationError(`no variable's name stands behind \${, ${EXPECTED}`);
    this.#at += name.length;
    let fallback: Part[] | undefined;
    if (this.#text.startsWith(":-", this.#at)) {
      this.#at += 2;
      fallback = this.template(nesting + 1);
    }
    this.#close();
    return { kind: "env", name, fallback };
  }

  #close(): void {
    if (this.#at >= this.#text.length) throw new InterpolationError(`a \${ is never closed, ${EXPECTED}`);
    if (this.#text[this.#at] !== "}") {
      throw new InterpolationError(`a name in \${…} is followed by } or by :-, ${EXPECTED}`);
    }
    this.#at++;
  }
}
