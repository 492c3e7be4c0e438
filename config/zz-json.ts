import { readDocument, validateDocument, formatProblem } from "./index.ts";
import { registryOf } from "./testing/stand-ins.ts";
const out: Record<string, string[]> = {};
for (const f of process.argv.slice(2)) {
  const d = await readDocument(f, {});
  const v = validateDocument(d, registryOf());
  out[f] = ("config" in v ? v.warnings : v.problems).map((p) => formatProblem(p, process.cwd()));
}
console.log(JSON.stringify(out));
