/** The README's tables that follow from the code. `bun scripts/readme.ts` writes them. */
import { join } from "node:path";
import { ERROR_CODES } from "sluice/plugin";

/** Every code that the gateway answers with. */
export function errorTable(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { status, grpc, owner, meaning }]) =>
      `| \`${code}\` | ${status} | ${grpc} ${GRPC_NAMES[grpc] ?? ""} | ${owner} | ${meaning} |`,
  );
  return ["| code | HTTP | gRPC | whose | meaning |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

/** grpc/doc/statuscodes.md */
const GRPC_NAMES: Readonly<Record<number, string>> = {
  1: "CANCELLED",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  16: "UNAUTHENTICATED",
};

const between = (name: string): RegExp => new RegExp(`(<!-- ${name} -->\n)([^]*?)(<!-- /${name} -->)`);

/** What stands between the comments `<!-- name -->` and `<!-- /name -->`, blank lines around it removed. */
export function section(readme: string, name: string): string {
  const found = between(name).exec(readme)?.[2];
  if (found === undefined) throw new Error(`the README has no section ${name}`);
  return found.trim();
}

if (import.meta.main) {
  const path = join(import.meta.dir, "../README.md");
  const readme = await Bun.file(path).text();
  await Bun.write(path, readme.replace(between("errors"), `$1\n${errorTable()}\n\n$3`));
}
