import { z } from "zod";
import type { Problems } from "../problem.ts";
import { checkMethods, method } from "../schema-match.ts";
import type { Section } from "./section.ts";

/** RFC 9110 §9.2.2. */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/** At least so many methods of requests that may reach targets more than once. */
export function methods(least: 0 | 1) {
  return z.array(method()).min(least).prefault(IDEMPOTENT);
}

/** Warns of slips in the list under `methods`. */
export function warnOfMethods(section: Section | undefined, problems: Problems): void {
  const list = section?.at("methods");
  if (list !== undefined) checkMethods(list.node, list.path, problems);
}
