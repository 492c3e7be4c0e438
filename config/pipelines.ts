import { nearest } from "sluice/plugin";
import { formatPath } from "./node.ts";
import type { Problems } from "./problem.ts";
import { describeNamed } from "./secrets.ts";
import type { StepItem } from "./steps.ts";
import type { Place, StepConfig } from "./types.ts";

/** Steps that one request may pass; pipelines that use each other twice grow without bound otherwise. */
const MAX_STEPS = 1_000;

type UseItem = Extract<StepItem, { kind: "use" }>;

/** The pipelines of a configuration, and what becomes of the `use` steps that name them. */
export class Pipelines {
  readonly #items: ReadonlyMap<string, readonly StepItem[]>;
  readonly #problems: Problems;
  /** False when pipelines may stand in files that could not be read. */
  readonly #complete: boolean;
  readonly #spliced = new Map<string, readonly StepConfig[] | "open">();
  readonly #reached = new Set<string>();

  constructor(items: ReadonlyMap<string, readonly StepItem[]>, complete: boolean, problems: Problems) {
    this.#items = items;
    this.#complete = complete;
    this.#problems = problems;
    // Those that no route uses are checked as well.
    for (const name of items.keys()) this.#pipeline(name);
  }

  /** The steps of a route, every `use` spliced in. */
  stepsOf(items: readonly StepItem[]): readonly StepConfig[] {
    for (const item of items) if (item.kind === "use") this.#reach(item.name);
    return this.#splice(items, []);
  }

  /** Whether a route that {@link stepsOf} saw uses the pipeline, directly or through others. */
  isUsed(name: string): boolean {
    return this.#reached.has(name);
  }

  /** Whether every step of these items, those of used pipelines included, could be read. */
  isWhole(items: readonly StepItem[], chain: readonly string[] = []): boolean {
    return items.every((item) => {
      if (item.kind !== "use") return item.kind === "step";
      const below = this.#items.get(item.name);
      return below !== undefined && (chain.includes(item.name) || this.isWhole(below, [...chain, item.name]));
    });
  }

  #reach(name: string): void {
    if (this.#reached.has(name)) return;
    this.#reached.add(name);
    for (const item of this.#items.get(name) ?? []) if (item.kind === "use") this.#reach(item.name);
  }

  #pipeline(name: string, chain: readonly string[] = []): readonly StepConfig[] {
    const known = this.#spliced.get(name);
    if (known !== undefined) return known === "open" ? [] : known;
    this.#spliced.set(name, "open");
    const steps = this.#splice(this.#items.get(name) ?? [], [...chain, name]);
    this.#spliced.set(name, steps);
    return steps;
  }

  #splice(items: readonly StepItem[], chain: readonly string[]): readonly StepConfig[] {
    const steps: StepConfig[] = [];
    for (const item of items) {
      if (item.kind === "step") steps.push(item.step);
      else if (item.kind === "use") steps.push(...this.#used(item, chain));
      if (steps.length <= MAX_STEPS) continue;
      const at =
        item.kind === "use"
          ? { place: item.node.place, path: item.path }
          : { place: steps[0]!.place, path: [] };
      this.#problems.error(at.place, formatPath(at.path), `more than ${MAX_STEPS} steps in one pipeline`);
      return [];
    }
    return steps;
  }

  #used(item: UseItem, chain: readonly string[]): readonly StepConfig[] {
    const { name, node, path } = item;
    if (!this.#items.has(name)) {
      if (this.#complete) this.#unknown(item);
      return [];
    }
    if (chain.includes(name)) {
      const circle = [...chain.slice(chain.indexOf(name)), name].join(" → ");
      this.#problems.error(node.place, formatPath(path), `the pipeline uses itself: ${circle}`);
      return [];
    }
    return this.#pipeline(name, chain);
  }

  #unknown({ name, node, path }: UseItem): void {
    const interpolated = node.kind === "scalar" && node.interpolated !== undefined;
    const suggestion = interpolated ? undefined : nearest(name, this.#items.keys());
    const hint = suggestion === undefined ? {} : { suggestion };
    this.#problems.error(node.place, formatPath(path), `unknown ${describeNamed("pipeline", node)}`, hint);
  }
}

/** Where a step stands that runs twice in one list; undefined where none does. */
export function repeatedStep(steps: readonly StepConfig[]): Place | undefined {
  const seen = new Set<StepConfig>();
  for (const step of steps) {
    if (seen.has(step)) return step.place;
    seen.add(step);
  }
  return undefined;
}
