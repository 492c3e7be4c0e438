import type { ConfigNode, MappingEntry, MappingNode } from "./node.ts";
import type { Problems } from "./problem.ts";

/** Keys whose lists are put behind each other. */
const LISTS: ReadonlySet<string> = new Set(["listeners", "trusted_proxies", "routes"]);
/** Keys whose entries are put together; no name may stand in two files. */
const MAPS: ReadonlySet<string> = new Set(["plugins", "prices", "upstreams", "pipelines"]);

/**
 * Several files as one: lists behind each other in the order of `parts`, maps by name, everything else once.
 * What stands twice is an error that shows both places.
 */
export function mergeFiles(parts: readonly MappingNode[], problems: Problems): MappingNode {
  const last = parts.at(-1)!;
  if (parts.length === 1) return last;
  const merged = new Map<string, MappingEntry>();
  for (const part of parts) {
    for (const entry of part.entries) {
      const before = merged.get(entry.key);
      merged.set(entry.key, before === undefined ? entry : mergeEntry(before, entry, problems));
    }
  }
  return { kind: "mapping", entries: [...merged.values()], place: last.place };
}

function mergeEntry(before: MappingEntry, entry: MappingEntry, problems: Problems): MappingEntry {
  const { key } = entry;
  if (LISTS.has(key) || MAPS.has(key)) {
    const value = LISTS.has(key) ? joinLists(before.value, entry.value) : undefined;
    if (value !== undefined) return { ...before, value };
    if (MAPS.has(key) && before.value.kind === "mapping" && entry.value.kind === "mapping") {
      return { ...before, value: joinMaps(key, before.value, entry.value, problems) };
    }
    // One of the two is of a wrong kind. It stays, so that the check of shapes complains at its place.
    return before.value.kind === (LISTS.has(key) ? "sequence" : "mapping") ? entry : before;
  }
  if (key === "version" && sameScalar(before.value, entry.value)) return before;
  const also = { label: "first at", place: before.keyPlace };
  problems.error(entry.keyPlace, key, `${JSON.stringify(key)} is set in two files`, { also });
  return before;
}

function joinLists(a: ConfigNode, b: ConfigNode): ConfigNode | undefined {
  if (a.kind !== "sequence" || b.kind !== "sequence") return undefined;
  return { ...a, items: [...a.items, ...b.items] };
}

function joinMaps(key: string, a: MappingNode, b: MappingNode, problems: Problems): MappingNode {
  const entries = new Map(a.entries.map((entry) => [entry.key, entry]));
  for (const entry of b.entries) {
    const first = entries.get(entry.key);
    if (first === undefined) {
      entries.set(entry.key, entry);
      continue;
    }
    const also = { label: "first at", place: first.keyPlace };
    problems.error(entry.keyPlace, `${key}.${entry.key}`, `duplicate name ${JSON.stringify(entry.key)}`, {
      also,
    });
  }
  return { ...a, entries: [...entries.values()] };
}

function sameScalar(a: ConfigNode, b: ConfigNode): boolean {
  return a.kind === "scalar" && b.kind === "scalar" && a.value === b.value;
}
