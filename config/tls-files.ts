import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { child, type ConfigNode, formatPath, type Path, textOf, isFailed } from "./node.ts";
import { pathFrom, type Scope } from "./scope.ts";
import { describe } from "./secrets.ts";
import { reasonOf } from "./text-file.ts";

const MAX_PEM_FILE = 1_048_576;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Reports `cert` and `key` of a mapping where they are no PEM files, or do not belong together. */
export function checkKeyPair(tls: ConfigNode, path: Path, scope: Scope): void {
  const cert = child(tls, "cert");
  const key = child(tls, "key");
  const certificate = checkCertificates(cert, [...path, "cert"], scope);
  const privateKey = readPrivateKey(key, [...path, "key"], scope);
  if (certificate === undefined || privateKey === undefined || key === undefined) return;
  if (certificate.checkPrivateKey(privateKey)) return;
  scope.problems.error(
    key.place,
    formatPath([...path, "key"]),
    `${describe(key)} is not the key of ${describe(cert)}`,
  );
}

/** Reports a file of PEM certificates that cannot be used; answers its first certificate. */
export function checkCertificates(
  node: ConfigNode | undefined,
  path: Path,
  scope: Scope,
): X509Certificate | undefined {
  const pem = readPem(node, path, scope);
  if (pem === undefined || node === undefined) return undefined;
  const blocks = pem.match(PEM_CERTIFICATE) ?? [];
  const wrong = (what: string): void =>
    scope.problems.error(node.place, formatPath(path), `${describe(node)} ${what}`);
  if (blocks.length === 0) wrong("holds no PEM certificate");
  let first: X509Certificate | undefined;
  for (const [index, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block);
      first ??= certificate;
    } catch {
      wrong(`cannot be read: certificate ${index + 1} of ${blocks.length} is malformed`);
      return undefined;
    }
  }
  return first;
}

function readPrivateKey(node: ConfigNode | undefined, path: Path, scope: Scope): KeyObject | undefined {
  const pem = readPem(node, path, scope);
  if (pem === undefined || node === undefined) return undefined;
  try {
    return createPrivateKey(pem);
  } catch {
    let what = "holds no PEM private key";
    if (/ENCRYPTED/.test(pem)) what = "holds an encrypted private key, expected one without a passphrase";
    else if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) what = "holds a malformed private key";
    scope.problems.error(node.place, formatPath(path), `${describe(node)} ${what}`);
    return undefined;
  }
}

function readPem(node: ConfigNode | undefined, path: Path, scope: Scope): string | undefined {
  const written = textOf(node);
  if (node === undefined || written === undefined || written === "" || written.includes("\0"))
    return undefined;
  if (isFailed(node)) return undefined;
  const file = pathFrom(node, written, node);
  scope.files.add(file);
  const wrong = (what: string): undefined => {
    scope.problems.error(node.place, formatPath(path), `cannot read ${describe(node)}: ${what}`);
    return undefined;
  };
  try {
    const stats = statSync(file);
    if (!stats.isFile()) return wrong(stats.isDirectory() ? "it is a directory" : "it is not a file");
    if (stats.size > MAX_PEM_FILE) return wrong(`it is larger than ${MAX_PEM_FILE} bytes`);
    return readFileSync(file, "utf8");
  } catch (error) {
    return wrong(reasonOf(error));
  }
}
