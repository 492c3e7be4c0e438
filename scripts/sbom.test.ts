import { expect, test } from "bun:test";
import { join } from "node:path";
import { licences, type LockedPackages, sbom, shippedPaths } from "./sbom.ts";

const root = join(import.meta.dir, "..");
const lock = (await Bun.file(join(root, "package-lock.json")).json()) as {
  name: string;
  packages: LockedPackages;
};

test("what npm calls production, and the runtime, are in it", async () => {
  const npm = Bun.spawn(
    ["npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"],
    {
      cwd: root,
      stderr: "ignore",
    },
  );
  const theirs = (await new Response(npm.stdout).json()) as { components: { purl: string }[] };
  const ours = sbom(lock.name, lock.packages, "unknown").components.map(({ purl }) => purl);
  const runtime = `pkg:npm/bun@${lock.packages["node_modules/bun"]?.version ?? ""}`;
  expect(ours.toSorted()).toEqual([...theirs.components.map(({ purl }) => purl), runtime].toSorted());
});

const nested: LockedPackages = {
  "": { version: "1.2.3", license: "Apache-2.0", dependencies: { "@s/a": "1", b: "2" } },
  "node_modules/@s/a": { version: "1.0.0", license: "MIT", dependencies: { b: "1" } },
  "node_modules/@s/a/node_modules/b": { version: "1.0.0", license: "(MIT OR ISC)", integrity: "sha512-AAEC" },
  "node_modules/b": { version: "2.0.0", license: "MIT", peerDependencies: { "@s/a": "1" } },
  "node_modules/bun": { version: "9.0.0", license: "MIT", dev: true },
  "node_modules/tool": { version: "1.0.0", license: "MIT", dev: true },
};

test("a dependency is the copy that would be loaded", () => {
  expect(sbom("x", nested, "unknown").dependencies).toEqual([
    { ref: "x@1.2.3", dependsOn: ["@s/a@1.0.0", "b@2.0.0", "bun@9.0.0"] },
    { ref: "@s/a@1.0.0", dependsOn: ["b@1.0.0"] },
    { ref: "b@1.0.0", dependsOn: [] },
    { ref: "b@2.0.0", dependsOn: ["@s/a@1.0.0"] },
    { ref: "bun@9.0.0", dependsOn: [] },
  ]);
});

test("a component carries its package URL, licence and hash", () => {
  const { components } = sbom("x", nested, "unknown");
  expect(components[0]?.purl).toBe("pkg:npm/%40s/a@1.0.0");
  expect(components[1]).toMatchObject({
    licenses: [{ expression: "(MIT OR ISC)" }],
    hashes: [{ alg: "SHA-512", content: "000102" }],
  });
  expect(components.find(({ name }) => name === "bun")?.type).toBe("platform");
});

test("the same lock gives the same document, another one another serial number", () => {
  const once = sbom("x", nested, "2026-01-01T00:00:00Z");
  expect(once).toEqual(sbom("x", nested, "2026-01-01T00:00:00Z"));
  expect(once.serialNumber).toMatch(
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  const other = sbom("x", { ...nested, "node_modules/b": { version: "2.0.1", license: "MIT" } }, "unknown");
  expect(other.serialNumber).not.toBe(once.serialNumber);
  expect(other.metadata.timestamp).toBeUndefined();
});

test("the licence texts name every shipped package", async () => {
  const text = await licences(root, lock.packages);
  for (const path of shippedPaths(lock.packages))
    expect(text).toContain(`\n${path.slice("node_modules/".length)} `);
  expect(text).toContain("Permission is hereby granted, free of charge");
});
