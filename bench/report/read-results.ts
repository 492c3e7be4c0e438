import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { METRICS, type MetricName } from "../metric.ts";
import type { Results } from "./results.ts";

/** The name of the file in its folder. */
export const RESULTS = "results.json";

const text = z.string();
const count = z.number().nonnegative();
const texts = z.record(text, text);
const started = { command: z.array(text), files: texts };
// Metrics that this version does not know are passed over.
const sample = z.object(
  Object.fromEntries(
    (Object.keys(METRICS) as MetricName[]).map((name) => [name, z.exactOptional(z.number())] as const),
  ) as Record<MetricName, z.ZodExactOptional<z.ZodNumber>>,
);

const schema: z.ZodType<Results> = z.object({
  format: z.literal(1),
  startedAt: text,
  tookSeconds: count,
  command: text,
  commit: text,
  rounds: count,
  secondsEach: count,
  warmUpSeconds: count,
  machine: z.object({ cpu: text, cores: count, memoryGiB: count, kernel: text, system: text }),
  versions: texts,
  scenarios: z.array(
    z.object({
      name: text,
      title: text,
      about: text,
      origin: z.object(started),
      contenders: z.array(z.object({ ...started, name: text, failure: z.exactOptional(text) })),
      cases: z.array(
        z.object({
          name: text,
          runs: z.record(text, z.object({ command: text, samples: z.array(sample) })),
        }),
      ),
      aims: z.array(
        z.object({
          what: text,
          unit: text,
          value: z.number().nullable(),
          least: z.exactOptional(z.number()),
          most: z.exactOptional(z.number()),
        }),
      ),
    }),
  ),
});

/**
 * Reads what `writeReport` has written: the file, or the folder that it is in.
 *
 * @throws Error naming the file, and the place in it, where it is not one
 */
export async function readResults(path: string): Promise<Results> {
  const file = await fileAt(path);
  let json: unknown;
  try {
    json = await Bun.file(file).json();
  } catch (error) {
    throw new Error(
      `${file}: ${error instanceof SyntaxError ? "not JSON" : "cannot be read"}: ${message(error)}`,
      {
        cause: error,
      },
    );
  }
  const format = z.object({ format: z.number() }).safeParse(json).data?.format;
  if (format !== undefined && format !== 1)
    throw new Error(`${file}: results of format ${format}; this program reads format 1`);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${file}: ${z.core.toDotPath(issue?.path ?? []) || "the whole"}: ${issue?.message}`);
}

async function fileAt(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new Error(`${path}: no such file or folder`);
  if (!found.isDirectory()) return path;
  const file = join(path, RESULTS);
  if (!(await Bun.file(file).exists())) throw new Error(`${path}: no ${RESULTS} in this folder`);
  return file;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
