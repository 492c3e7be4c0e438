/*
 * Compiled by compiled.test.ts into a binary of its own: loads the plugin named on the command line and prints
 * what it says of itself; with a number behind it, loads that many changed versions, and prints how many of their
 * definitions are still in memory afterwards, and the resident memory in MiB at ten points on the way.
 */
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { loadExternal } from "./load-external.ts";

const [file, loads] = process.argv.slice(2) as [string, string | undefined];

if (loads === undefined) {
  const { definition } = await loadExternal(file);
  const sharesZod = definition.schema instanceof z.ZodObject;
  print({ description: definition.description, sharesZod });
} else print(await loadChanging(Number(loads)));

async function loadChanging(total: number) {
  const definitions: WeakRef<object>[] = [];
  const memory: number[] = [];
  for (let i = 1; i <= total; i++) {
    writeFileSync(file, changing(i));
    const loaded = await loadExternal(file);
    if (loaded.definition.description !== `version ${i}`) throw new Error(`load ${i} saw an older file`);
    definitions.push(new WeakRef(loaded.definition));
    loaded.release();
    if (i % Math.floor(total / 10) !== 0) continue;
    Bun.gc(true);
    memory.push(Math.round(process.memoryUsage.rss() / 1_048_576));
  }
  // What a WeakRef has answered stays alive until the end of the job.
  await new Promise<void>((resolve) => setImmediate(resolve));
  Bun.gc(true);
  const alive = definitions.filter((definition) => definition.deref() !== undefined).length;
  return { alive, memory };
}

function changing(i: number): string {
  return `import { definePlugin } from "sluice/plugin";
import { z } from "zod";
const filler: string = "${"x".repeat(3_000)}${i}";
export default definePlugin({
  apiVersion: 1, name: "changing", description: "version ${i}",
  schema: z.strictObject({ header: z.string(), word: z.string().min(1).default(filler) }),
  setup: ({ header, word }) => ({ async handle(c, next) { await next(); c.header(header, word); } }),
});`;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
