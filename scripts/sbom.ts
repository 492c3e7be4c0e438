/** Writes what a binary is made of: a CycloneDX bill of materials and the licences of every part. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** One package of package-lock.json (lockfileVersion 3). */
export interface LockedPackage {
  readonly version?: string;
  /** `sha512-BASE64` of the archive. */
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}
/** Path (`node_modules/x`, "" for the project itself) → package. */
export type LockedPackages = Readonly<Record<string, LockedPackage>>;

interface Component {
  readonly "bom-ref": string;
  readonly type: "application" | "library" | "platform";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses: readonly (
    { readonly license: { readonly id: string } } | { readonly expression: string }
  )[];
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

export interface Bom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.5";
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp?: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const RUNTIME = "node_modules/bun";

/** Paths of the packages that are inside a binary: everything but development's, and the runtime. */
export function shippedPaths(packages: LockedPackages): string[] {
  return Object.keys(packages)
    .filter((path) => path !== "" && (packages[path]?.dev !== true || path === RUNTIME))
    .toSorted();
}

const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
// Package URL: the scope's "@" is percent-encoded (purl-spec, type npm).
const purlOf = (name: string, version: string): string => `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;

function component(type: Component["type"], name: string, locked: LockedPackage): Component {
  const version = locked.version ?? "0.0.0";
  const license = locked.license ?? "NOASSERTION";
  const part: Component = {
    "bom-ref": `${name}@${version}`,
    type,
    name,
    version,
    purl: purlOf(name, version),
    // "(A AND B)" is an SPDX expression, "A" an identifier.
    licenses: license.includes(" ") ? [{ expression: license }] : [{ license: { id: license } }],
  };
  if (locked.integrity === undefined) return part;
  const content = Buffer.from(locked.integrity.replace("sha512-", ""), "base64").toString("hex");
  return { ...part, hashes: [{ alg: "SHA-512", content }] };
}

/** Where Node's resolution finds `name` from the package at `path`, in the lock's own paths. */
function resolve(packages: LockedPackages, path: string, name: string): string | undefined {
  let base = path;
  for (;;) {
    const candidate = base === "" ? `node_modules/${name}` : `${base}/node_modules/${name}`;
    if (packages[candidate] !== undefined) return candidate;
    if (base === "") return undefined;
    const above = base.lastIndexOf("/node_modules/");
    base = above < 0 ? "" : base.slice(0, above);
  }
}

/**
 * CycloneDX 1.5. The same lock and `timestamp` (ISO 8601; "unknown" leaves it out) give the same document to
 * the byte.
 */
export function sbom(name: string, packages: LockedPackages, timestamp: string): Bom {
  const project = packages[""] ?? {};
  const main = component("application", name, project);
  const paths = shippedPaths(packages);
  const refs = new Map(paths.map((path) => [path, `${nameOf(path)}@${packages[path]?.version ?? ""}`]));
  const dependsOn = (path: string): string[] =>
    Object.keys({ ...packages[path]?.dependencies, ...packages[path]?.peerDependencies })
      .map((dependency) => refs.get(resolve(packages, path, dependency) ?? ""))
      .filter((ref) => ref !== undefined)
      .toSorted();
  const components = paths.map((path) =>
    component(path === RUNTIME ? "platform" : "library", nameOf(path), packages[path] ?? {}),
  );
  const digest = createHash("sha256")
    .update(JSON.stringify([main, components]))
    .digest("hex");
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${uuidOf(digest)}`,
    version: 1,
    metadata: { ...(timestamp === "unknown" ? {} : { timestamp }), component: main },
    components,
    dependencies: [
      { ref: main["bom-ref"], dependsOn: [...dependsOn(""), refs.get(RUNTIME) ?? []].flat() },
      ...paths.map((path) => ({ ref: refs.get(path) ?? "", dependsOn: dependsOn(path) })),
    ],
  };
}

/** A version 8 UUID (RFC 9562 §5.8: custom bits) from a hash, so that equal contents have equal serials. */
function uuidOf(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

/** The licence texts of what is shipped, as found in the installed packages under `root`. */
export async function licences(root: string, packages: LockedPackages): Promise<string> {
  const parts: string[] = [];
  for (const path of shippedPaths(packages)) {
    const { version, license } = packages[path] ?? {};
    parts.push(`${"=".repeat(100)}\n${nameOf(path)} ${version ?? ""} (${license ?? "no licence named"})\n`);
    const files = readdirSync(join(root, path)).filter((file) => LICENCE_FILE.test(file));
    for (const file of files.toSorted()) parts.push(await Bun.file(join(root, path, file)).text());
  }
  return parts.join("\n");
}

if (import.meta.main) {
  const [timestamp = "unknown", bomFile, licencesFile] = process.argv.slice(2);
  if (bomFile === undefined || licencesFile === undefined) {
    console.error("usage: bun scripts/sbom.ts TIMESTAMP|unknown SBOM_FILE LICENCES_FILE");
    process.exit(2);
  }
  const root = join(import.meta.dir, "..");
  const lock = (await Bun.file(join(root, "package-lock.json")).json()) as {
    name: string;
    packages: LockedPackages;
  };
  await Bun.write(bomFile, `${JSON.stringify(sbom(lock.name, lock.packages, timestamp), null, 2)}\n`);
  await Bun.write(licencesFile, await licences(root, lock.packages));
}
