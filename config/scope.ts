import { dirname, resolve } from "node:path";
import type { ConfigNode } from "./node.ts";
import type { Problems } from "./problem.ts";

/** What the readers of the sections share. */
export interface Scope {
  readonly problems: Problems;
  /** Every file that takes part; readers add what they look at. */
  readonly files: Set<string>;
}

/** A path as written in `node`, relative to the file that `node` stands in. */
export function pathFrom(node: ConfigNode | undefined, path: string, fallback: ConfigNode): string {
  return resolve(dirname((node ?? fallback).place.file), path);
}
