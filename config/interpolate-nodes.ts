import { hasInterpolation, interpolate, InterpolationError, type Sources } from "./interpolate.ts";
import { type ConfigNode, formatPath, type Path, type ScalarNode } from "./node.ts";
import type { Problems } from "./problem.ts";

/**
 * The same tree with every interpolation done. What fails is reported and becomes a scalar that is marked as
 * `failed`, so that nothing complains about its value as well.
 */
export async function interpolateNodes(
  root: ConfigNode,
  sources: Sources,
  problems: Problems,
): Promise<ConfigNode> {
  // Aliases share nodes; each is interpolated, and complained about, once.
  const done = new Map<ConfigNode, ConfigNode>();

  async function visit(node: ConfigNode, path: Path): Promise<ConfigNode> {
    const known = done.get(node);
    if (known !== undefined) return known;
    const result = await changed(node, path);
    done.set(node, result);
    return result;
  }

  async function changed(node: ConfigNode, path: Path): Promise<ConfigNode> {
    if (node.kind === "scalar") return interpolateScalar(node, path);
    if (node.kind === "sequence") {
      const items: ConfigNode[] = [];
      for (const [index, item] of node.items.entries()) items.push(await visit(item, [...path, index]));
      return { ...node, items };
    }
    const entries = [];
    for (const entry of node.entries) {
      entries.push({ ...entry, value: await visit(entry.value, [...path, entry.key]) });
    }
    return { ...node, entries };
  }

  async function interpolateScalar(node: ScalarNode, path: Path): Promise<ScalarNode> {
    if (typeof node.value !== "string" || !hasInterpolation(node.value)) return node;
    try {
      const { value, expressions, fromFile } = await interpolate(node.value, sources);
      if (expressions.length === 0) return { ...node, value };
      return { ...node, value, source: value, interpolated: { expressions, fromFile, failed: false } };
    } catch (error) {
      if (!(error instanceof InterpolationError)) throw error;
      problems.error(node.place, formatPath(path), error.message);
      return {
        ...node,
        value: "",
        source: "",
        interpolated: { expressions: [], fromFile: false, failed: true },
      };
    }
  }

  return visit(root, []);
}
