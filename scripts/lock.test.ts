import { expect, test } from "bun:test";
import { join } from "node:path";

interface Locked {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = join(import.meta.dir, "..");
const { packages } = (await Bun.file(join(root, "package-lock.json")).json()) as {
  packages: Record<string, Locked>;
};

// `npm ci` refuses a lock without an entry for each of them, also for those of other platforms, which npm leaves
// out where its registry does not have them.
test("every optional dependency has an entry in the lock", () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => packages[`${path}/node_modules/${name}`] === undefined)
      .filter((name) => packages[`node_modules/${name}`] === undefined),
  );
  expect(missing).toEqual([]);
});

test("versions are pinned", async () => {
  const manifest = (await Bun.file(join(root, "package.json")).json()) as Record<
    string,
    Record<string, string>
  >;
  for (const [name, version] of Object.entries({
    ...manifest["dependencies"],
    ...manifest["devDependencies"],
  })) {
    expect(version).toMatch(/^\d/);
    expect(packages[`node_modules/${name}`]?.version).toBe(version);
  }
});
