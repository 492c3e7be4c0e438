import { z } from "zod";

/*
 * Leaves of the format that zod has no type for: written as text or as a number, read into something else. Their
 * refusals carry words for the operator, which `translate.ts` makes a message of.
 */

/** What a leaf's refusal carries in the issue's `params`. */
export interface Refusal {
  /** "expected …, got …". */
  readonly expected?: string;
  /** What exactly is wrong, behind a colon. */
  readonly because?: string;
  readonly suggestion?: string;
  /** The value, or the whole key, is documented and not built yet. */
  readonly unavailable?: boolean;
  /** The input is a list or a mapping, where a single value was expected. */
  readonly wrongKind?: boolean;
}

const REFUSAL = "sluiceRefusal";

/** For `params` of an issue. */
export function refusalParams(refusal: Refusal): Record<string, unknown> {
  return { [REFUSAL]: refusal };
}

export function refusalOf(params: Readonly<Record<string, unknown>> | undefined): Refusal | undefined {
  return params?.[REFUSAL] as Refusal | undefined;
}

/** Answers a refusal from a leaf's reader. */
export class Refused {
  readonly refusal: Refusal;

  constructor(refusal: Refusal = {}) {
    this.refusal = refusal;
  }
}

type Scalar = string | number | boolean;

/** One for all leaves: of what a start makes, schemas are the most. */
const ANYTHING = z.unknown();

/**
 * A leaf that reads a scalar.
 *
 * @param expected words behind "expected", such as "a duration such as 500ms".
 * @param jsonSchema what an editor may check.
 */
export function scalar<T>(
  expected: string,
  jsonSchema: Readonly<Record<string, unknown>>,
  read: (value: Scalar) => T | Refused,
) {
  const leaf = ANYTHING.transform((input, context): T => {
    const single = typeof input === "string" || typeof input === "number" || typeof input === "boolean";
    const result = single ? read(input) : new Refused({ wrongKind: true });
    if (!(result instanceof Refused)) return result;
    const params = refusalParams({ expected, ...result.refusal });
    context.issues.push({ code: "custom", input, params });
    return z.NEVER;
  });
  // What `meta` does, on the leaf itself: it would make a second one.
  z.globalRegistry.add(leaf, { ...jsonSchema });
  return leaf;
}

/** Marks a key in the JSON Schema that is to be left out of it. */
export const UNAVAILABLE = "x-sluice-unavailable";

/** A key that the format documents and this version refuses. */
export function unavailable() {
  return ANYTHING.transform((input, context): undefined => {
    context.issues.push({ code: "custom", input, params: refusalParams({ unavailable: true }) });
    return z.NEVER;
  })
    .meta({ [UNAVAILABLE]: true })
    .optional();
}

/** One value, or a list of them, as a list. */
export function oneOrMany<T extends z.ZodType>(item: T) {
  return z.union([item.transform((value) => [value]), z.array(item).min(1)]);
}
