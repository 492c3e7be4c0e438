import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ListenerTlsConfig } from "../../config/types.ts";

/** Certificates and key of a listener, read and checked; rotation hands a new one to `listener.update`. */
export interface TlsMaterial {
  /** PEM: our certificate first, its issuers after it. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** PEM of the authorities that client certificates must come from; undefined asks for none. */
  readonly clientCa: string | undefined;
  readonly minVersion: "1.2" | "1.3";
  /** When our certificate expires, milliseconds since the epoch. */
  readonly expiresAt: number;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Reads the files of a listener's `tls`.
 * @throws Error whose message names the option, the file and what is wrong with it
 */
export async function loadTlsMaterial(config: ListenerTlsConfig): Promise<TlsMaterial> {
  const [cert, key, clientCa] = await Promise.all([
    readPem("tls.cert", config.cert),
    readPem("tls.key", config.key),
    config.clientCa === undefined ? undefined : readPem("tls.client_ca", config.clientCa),
  ]);
  const [leaf] = certificates("tls.cert", config.cert, cert);
  if (!leaf!.checkPrivateKey(privateKey(config.key, key))) {
    throw new Error(`tls.key: ${config.key} is not the key of the certificate in ${config.cert}`);
  }
  if (clientCa !== undefined) certificates("tls.client_ca", config.clientCa!, clientCa);
  return { cert, key, clientCa, minVersion: config.minVersion, expiresAt: leaf!.validToDate.getTime() };
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${option}: cannot read ${path} (${code ?? String(error)})`, { cause: error });
  }
}

/** Every certificate of a PEM text, at least one. */
function certificates(option: string, path: string, pem: string): X509Certificate[] {
  const blocks = pem.match(CERTIFICATE);
  if (blocks === null) throw new Error(`${option}: ${path} holds no PEM certificate`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new Error(`${option}: certificate ${index + 1} of ${path} is damaged`, { cause: error });
    }
  });
}

function privateKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = pem.includes("ENCRYPTED");
    const why = encrypted ? "is encrypted: a key without passphrase is needed" : "holds no PEM private key";
    throw new Error(`tls.key: ${path} ${why}`, { cause: error });
  }
}
