import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Issued, makeCertificate } from "./test-x509.ts";

/* Certificates for tests, as files in a directory of their own. */

export interface KeyPair {
  /** Path of a PEM file. */
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificates extends Disposable {
  readonly dir: string;
  /** Path of the authority's PEM file. */
  readonly ca: string;
  /**
   * A certificate of the authority. `name` names the files (`NAME.pem`, `NAME.key`), `subject` is `/CN=…`, `names` are
   * SANs such as `DNS:localhost,IP:127.0.0.1`.
   */
  issue(name: string, subject: string, names: string, notAfter?: Date): KeyPair;
  /** One that nobody has signed. */
  selfSigned(name: string): KeyPair;
}

export function testCertificates(): TestCertificates {
  const authority = makeCertificate({ subject: "/CN=ca", authority: true });
  const dir = mkdtempSync(join(tmpdir(), "sluice-tls-"));
  const write = (name: string, { cert, key }: Issued): KeyPair => {
    const pair = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
    writeFileSync(pair.cert, cert);
    writeFileSync(pair.key, key);
    return pair;
  };
  return {
    dir,
    ca: write("ca", authority).cert,
    issue: (name, subject, names, notAfter) =>
      write(
        name,
        makeCertificate({ subject, names, ...(notAfter === undefined ? {} : { notAfter }) }, authority),
      ),
    selfSigned: (name) => write(name, makeCertificate({ subject: `/CN=${name}`, authority: true })),
    [Symbol.dispose]() {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
