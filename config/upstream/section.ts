import { formatDuration } from "../durations.ts";
import { child, type ConfigNode, formatPath, itemsOf, type Path } from "../node.ts";
import type { Problems } from "../problem.ts";

/** A part of the document under check: finds what stands below it, and reports at its place. */
export class Section {
  readonly node: ConfigNode;
  readonly path: Path;
  readonly #problems: Problems;

  constructor(node: ConfigNode, path: Path, problems: Problems) {
    this.node = node;
    this.path = path;
    this.#problems = problems;
  }

  has(key: string): boolean {
    return child(this.node, key) !== undefined;
  }

  /** What stands under `key`; undefined where nothing does. */
  at(key: string): Section | undefined {
    const below = child(this.node, key);
    return below === undefined ? undefined : new Section(below, [...this.path, key], this.#problems);
  }

  /** The mapping under `key`; undefined for anything else, of which its schema speaks. */
  mapping(key: string): Section | undefined {
    const below = this.at(key);
    return below?.node.kind === "mapping" ? below : undefined;
  }

  /** The items of a list; the value itself where it is none. */
  items(): Section[] {
    if (this.node.kind !== "sequence") return [this];
    return itemsOf(this.node).map((item, index) => new Section(item, [...this.path, index], this.#problems));
  }

  error(message: string): void {
    this.#problems.error(this.node.place, formatPath(this.path), message);
  }

  warn(message: string): void {
    this.#problems.warn(this.node.place, formatPath(this.path), message);
  }

  /** Reports that the key is not there. */
  missing(key: string, expected: string): void {
    this.#problems.error(
      this.node.place,
      formatPath([...this.path, key]),
      `is missing, expected ${expected}`,
    );
  }
}

/** Reports a pair of durations under `low` and `high` that are the wrong way round, at the one that is written. */
export function checkBounds<Low extends string, High extends string>(
  section: Section | undefined,
  value: Readonly<Record<Low | High, number>>,
  low: Low,
  high: High,
): void {
  if (section === undefined || value[low] <= value[high]) return;
  const least = section.at(low);
  if (least !== undefined) least.error(`is above ${high} (${formatDuration(value[high])})`);
  else section.at(high)?.error(`is below ${low} (${formatDuration(value[low])})`);
}
