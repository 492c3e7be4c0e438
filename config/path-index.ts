import type { PathShape } from "./path-syntax.ts";

interface Node {
  readonly literals: Map<string, Node>;
  /** Any one segment that is not empty. */
  named: Node | undefined;
  readonly ends: number[];
  readonly rests: number[];
}

/**
 * Patterns of paths, to find those that cover another one without looking at them all: with 10,000 routes, comparing each
 * with each would take a second.
 */
export class PathIndex {
  readonly #root = emptyNode();

  add(shape: PathShape, index: number): void {
    let node = this.#root;
    for (const segment of shape.segments) node = childOf(node, segment);
    (shape.rest ? node.rests : node.ends).push(index);
  }

  /** The indexes of the patterns for which `coversPath` holds with `inner`, ascending. */
  covering(inner: PathShape): readonly number[] {
    const found: number[] = [];
    collect(this.#root, inner, 0, found);
    return found.sort((a, b) => a - b);
  }
}

function collect(node: Node, inner: PathShape, depth: number, found: number[]): void {
  found.push(...node.rests);
  const segment = inner.segments[depth];
  if (segment === undefined) {
    if (!inner.rest) found.push(...node.ends);
    return;
  }
  const literal = isName(segment) ? undefined : node.literals.get(segment);
  if (literal !== undefined) collect(literal, inner, depth + 1, found);
  if (node.named !== undefined && segment !== "") collect(node.named, inner, depth + 1, found);
}

function childOf(node: Node, segment: string): Node {
  if (isName(segment)) return (node.named ??= emptyNode());
  let child = node.literals.get(segment);
  if (child === undefined) node.literals.set(segment, (child = emptyNode()));
  return child;
}

function isName(segment: string): boolean {
  return segment.startsWith(":");
}

function emptyNode(): Node {
  return { literals: new Map(), named: undefined, ends: [], rests: [] };
}
