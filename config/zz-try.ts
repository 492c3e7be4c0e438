import { readDocument, validateDocument, formatProblem, maskedConfig } from "./index.ts";
import { registryOf, standIns, standIn } from "./testing/stand-ins.ts";
import { z } from "zod";
const shout = standIn("shout", z.strictObject({ header: z.string(), word: z.string().min(1) }));
for (const f of process.argv.slice(2)) {
  const d = await readDocument(f, {});
  const v = validateDocument(d, registryOf([...standIns, shout]));
  if ("config" in v) {
    console.log(
      f,
      "OK",
      v.warnings.map((p) => formatProblem(p, process.cwd())),
    );
    if (process.env.SHOW) console.log(JSON.stringify(maskedConfig(v.config), null, 1));
  } else for (const p of v.problems) console.log(formatProblem(p, process.cwd()));
}
