import { SourceMap } from "node:module";
import { resolve } from "node:path";

/*
 * A bundle is evaluated under a URL of its own, `sluice-plugin://HASH/path/of/the/plugin.ts`. It marks the
 * plugin's frames in a stack, and it finds the source map that says where in the files they really are.
 */

interface Source {
  readonly map: string;
  readonly base: string;
  parsed: SourceMap | undefined;
}

const sources = new Map<string, Source>();

/** The URL that stands in stacks for the bundle of that hash. */
export function sourceUrl(hash: string, path: string): string {
  // A URL in `sourceURL` ends at white space, and in a stack at `:LINE:COLUMN)`.
  const inUrl = encodeURI(path).replace(/[:()]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `sluice-plugin://${hash}${inUrl}`;
}

/** Keeps a bundle's source map until {@link forgetSource}. It is parsed when a stack needs it. */
export function rememberSource(hash: string, map: string, base: string): void {
  sources.set(hash, { map, base, parsed: undefined });
}

export function forgetSource(hash: string): void {
  sources.delete(hash);
}

const FRAME = /sluice-plugin:\/\/(?<hash>[0-9a-f]+)(?<path>[^\s:()]*):(?<line>\d+):(?<column>\d+)/g;

/** Hashes of the bundles whose frames are in the stack, the innermost first. */
export function bundlesInStack(error: unknown): string[] {
  const hashes = new Set<string>();
  for (const match of stackOf(error).matchAll(FRAME)) hashes.add(match.groups!["hash"]!);
  return [...hashes];
}

/**
 * Rewrites the stacks of an error and its causes in place, so that a plugin's frames name its files, lines
 * and columns. Anything else is left as it is.
 */
export function restorePositions(error: unknown, depth = 0): void {
  const stack = stackOf(error);
  if (stack.includes("sluice-plugin://")) {
    try {
      (error as Error).stack = stack.replace(
        FRAME,
        (_frame, hash: string, path: string, line: string, column: string) => {
          return (
            originalPosition(hash, Number(line), Number(column)) ??
            `${decodeURIComponent(path)} (bundled):${line}:${column}`
          );
        },
      );
    } catch {
      // A frozen error, or a stack that its class made read-only, keeps the positions of the bundle.
    }
  }
  if (error instanceof Error && error.cause !== undefined && depth < 5)
    restorePositions(error.cause, depth + 1);
}

/** `FILE:LINE:COLUMN` of the innermost frame that lies in a plugin's file; the stack must be restored already. */
export function originalPosition(hash: string, line: number, column: number): string | undefined {
  const source = sources.get(hash);
  if (source === undefined) return undefined;
  source.parsed ??= new SourceMap(JSON.parse(source.map) as ConstructorParameters<typeof SourceMap>[0]);
  // Lines and columns count from 1 in stacks and from 0 in maps.
  const entry = source.parsed.findEntry(line - 1, column - 1);
  if (!("originalSource" in entry) || entry.originalSource === undefined) return undefined;
  return `${resolve(source.base, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}

/** Where the innermost plugin frame of a stack stands, as `FILE:LINE:COLUMN`. */
export function placeOfFailure(error: unknown): string | undefined {
  for (const match of stackOf(error).matchAll(FRAME)) {
    const { hash, line, column } = match.groups as Record<"hash" | "line" | "column", string>;
    const place = originalPosition(hash, Number(line), Number(column));
    if (place !== undefined) return place;
  }
  return undefined;
}

function stackOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  try {
    const stack: unknown = (error as { stack?: unknown }).stack;
    return typeof stack === "string" ? stack : "";
  } catch {
    // A getter of somebody's that throws.
    return "";
  }
}
