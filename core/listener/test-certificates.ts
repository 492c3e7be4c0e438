import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/* Certificates for this folder's tests, made by openssl in a directory of their own. */

export interface KeyPair {
  /** Path of a PEM file. */
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificates extends Disposable {
  readonly dir: string;
  /** Path of the authority's PEM file. */
  readonly ca: string;
  /** A certificate of the authority. `name` names the files, `subject` is `/CN=…`, `names` are SANs. */
  issue(name: string, subject: string, names: string): KeyPair;
  /** One that nobody has signed. */
  selfSigned(name: string): KeyPair;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export function testCertificates(): TestCertificates {
  const dir = mkdtempSync(join(tmpdir(), "sluice-tls-"));
  function openssl(...args: string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: dir });
    if (exitCode !== 0) throw new Error(stderr.toString());
  }
  function selfSigned(name: string): KeyPair {
    const pair = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
    const out = ["-keyout", pair.key, "-out", pair.cert, "-days", "2", "-subj", `/CN=${name}`];
    openssl("req", "-x509", ...NEW_KEY, ...out);
    return pair;
  }
  const ca = selfSigned("ca");
  return {
    dir,
    ca: ca.cert,
    selfSigned,
    issue(name, subject, names) {
      const pair = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
      const request = ["-keyout", pair.key, "-out", `${name}.csr`, "-subj", subject];
      openssl("req", ...NEW_KEY, ...request, "-addext", `subjectAltName=${names}`);
      const signer = ["-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-days", "2"];
      openssl("x509", "-req", "-in", `${name}.csr`, ...signer, "-copy_extensions", "copy", "-out", pair.cert);
      return pair;
    },
    [Symbol.dispose]() {
      rmSync(dir, { recursive: true });
    },
  };
}
