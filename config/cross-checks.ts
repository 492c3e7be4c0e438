import { formatAddress } from "./address.ts";
import { type ConfigNode, type Path, formatPath, scalarsOf } from "./node.ts";
import type { Problems } from "./problem.ts";
import { shadows } from "./reachability.ts";
import { orderMistakes } from "./step-order.ts";
import type { StepItem } from "./steps.ts";
import type { Address, MatchConfig, Place, StepConfig } from "./types.ts";

/*
 * What no single section can know: two things of one name or one address, and things that nothing uses.
 */

/** Something that has a place and a path. */
export interface Located {
  readonly place: Place;
  readonly path: Path;
}

/** Reports everything that has the name of something before it. `what` is such as "route". */
export function checkUnique(
  named: readonly (Located & { readonly name: string | undefined })[],
  what: string,
  problems: Problems,
): void {
  const seen = new Map<string, Place>();
  for (const { name, place, path } of named) {
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first === undefined) seen.set(name, place);
    else {
      const also = { label: "first at", place: first };
      problems.error(place, formatPath(path), `duplicate ${what} ${JSON.stringify(name)}`, { also });
    }
  }
}

/** Reports listeners, the admin one included, that want an address which another has. */
export function checkAddresses(
  listeners: readonly (Located & { readonly address: Address })[],
  problems: Problems,
): void {
  for (const [index, { address, place, path }] of listeners.entries()) {
    const first = listeners.slice(0, index).find((other) => collide(other.address, address));
    if (first === undefined) continue;
    const also = { label: "first at", place: first.place };
    const same = formatAddress(first.address) === formatAddress(address);
    const message = same
      ? `${formatAddress(address)} is listened on twice`
      : `${formatAddress(address)} overlaps ${formatAddress(first.address)}, which is listened on`;
    problems.error(place, formatPath(path), message, { also });
  }
}

function collide(a: Address, b: Address): boolean {
  if (a.kind === "unix" || b.kind === "unix")
    return a.kind === b.kind && formatAddress(a) === formatAddress(b);
  // Port 0 is another port each time.
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isWildcardFor(a.host, b.host) || isWildcardFor(b.host, a.host);
}

function isWildcardFor(wildcard: string, host: string): boolean {
  return wildcard === (host.includes(":") ? "::" : "0.0.0.0");
}

/** Reports steps that would share counters by accident, and ids that stand twice. */
export function checkStepNames(items: readonly StepItem[], problems: Problems): void {
  const steps = items.filter((item) => item.kind === "step");
  checkUnique(
    steps.map(({ step, path }) => ({ name: step.id, place: step.place, path: [...path, "id"] })),
    "step id",
    problems,
  );
  const seen = new Map<string, Place>();
  for (const { step, path } of steps) {
    if (step.id !== undefined) continue;
    const first = seen.get(step.key);
    if (first === undefined) seen.set(step.key, step.place);
    else {
      const also = { label: "first at", place: first };
      const message = `its counters have the name ${JSON.stringify(step.key)} of another step's, give it an id`;
      problems.error(step.place, formatPath(path), message, { also });
    }
  }
}

/** Warns of routes whose requests all go to an earlier route. Routes whose match is wrong are left out. */
export function checkReachable(
  routes: readonly (Located & { readonly name: string; readonly match: MatchConfig | undefined })[],
  problems: Problems,
): void {
  const readable = routes.flatMap(({ match, ...route }) => (match === undefined ? [] : { ...route, match }));
  const earlier = shadows(readable.map(({ match }) => match));
  for (const [index, { place, path }] of readable.entries()) {
    const before = earlier[index];
    if (before === undefined) continue;
    const { name, place: at } = readable[before]!;
    const also = { label: "at", place: at };
    problems.warn(
      place,
      formatPath(path),
      `is never reached, all its requests go to ${JSON.stringify(name)}`,
      { also },
    );
  }
}

/** Warns of steps in an order that is almost surely a mistake, once for all routes that share them. */
export function checkOrder(steps: readonly StepConfig[], path: Path, problems: Problems): void {
  for (const { step, message } of orderMistakes(steps)) problems.warn(step.place, formatPath(path), message);
}

/** Every text in the options of steps: plugins may name upstreams in them. */
export function textsOf(items: readonly StepItem[]): ReadonlySet<string> {
  const texts = new Set<string>();
  for (const item of items) if (item.kind === "step") addTexts(item.options, texts);
  return texts;
}

function addTexts(node: ConfigNode, texts: Set<string>): void {
  for (const [scalar] of scalarsOf(node)) if (typeof scalar.value === "string") texts.add(scalar.value);
}
