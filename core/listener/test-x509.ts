import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/* X.509 certificates (RFC 5280) as far as tests need them: P-256 keys, one signature algorithm, no extension beyond
   the ones that verifiers look at. */

export interface CertificateFacts {
  /** `/O=Test/CN=name`. */
  readonly subject: string;
  /** Subject alternative names, `DNS:a.test,IP:127.0.0.1,URI:spiffe://a/b`; none by default. */
  readonly names?: string;
  readonly authority?: boolean;
  /** @default in two days */
  readonly notAfter?: Date;
}

/** A certificate with its key, and what is needed to sign others by it. */
export interface Issued {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly privateKey: KeyObject;
  readonly subject: string;
  readonly keyId: Uint8Array;
}

const DAY_MS = 86_400_000;

/** Makes a key and its certificate, signed by `issuer` or by itself. */
export function makeCertificate(facts: CertificateFacts, issuer?: Issued): Issued {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  // RFC 5280 §4.2.1.2: the hash of the key's bits, which are the last 65 bytes of a P-256 key.
  const keyId = createHash("sha1").update(spki.subarray(-65)).digest();
  const now = new Date();
  const serial = randomBytes(8);
  // Positive, and no leading zero byte.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const tbs = sequence(
    tlv(0xa0, integer([2])),
    integer(serial),
    ECDSA_WITH_SHA256,
    name(issuer?.subject ?? facts.subject),
    sequence(
      time(new Date(now.getTime() - DAY_MS * 3650)),
      time(facts.notAfter ?? new Date(now.getTime() + 2 * DAY_MS)),
    ),
    name(facts.subject),
    spki,
    tlv(0xa3, sequence(...extensions(facts, keyId, issuer?.keyId ?? keyId))),
  );
  const signature = sign("sha256", tbs, issuer?.privateKey ?? privateKey);
  const der = sequence(tbs, ECDSA_WITH_SHA256, tlv(0x03, [0], signature));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${wrapped(der)}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    privateKey,
    subject: facts.subject,
    keyId,
  };
}

function extensions(
  { authority, names }: CertificateFacts,
  own: Uint8Array,
  issuers: Uint8Array,
): Uint8Array[] {
  const list = [
    extension("2.5.29.14", tlv(0x04, own)),
    extension("2.5.29.35", sequence(tlv(0x80, issuers))),
    // keyUsage: digitalSignature, and for an authority keyCertSign.
    extension("2.5.29.15", tlv(0x03, authority === true ? [2, 0x84] : [7, 0x80]), true),
    extension("2.5.29.19", authority === true ? sequence(tlv(0x01, [0xff])) : sequence(), true),
  ];
  if (names !== undefined) list.push(extension("2.5.29.17", sequence(...names.split(",").map(altName))));
  return list;
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(oid(id), ...(critical ? [tlv(0x01, [0xff])] : []), tlv(0x04, value));
}

function altName(text: string): Uint8Array {
  const [, kind, value] = /^(DNS|URI|IP):(.+)$/.exec(text.trim()) ?? [];
  if (kind === "DNS") return tlv(0x82, Buffer.from(value!));
  if (kind === "URI") return tlv(0x86, Buffer.from(value!));
  if (kind === "IP" && /^[\d.]+$/.test(value!)) return tlv(0x87, value!.split(".").map(Number));
  throw new TypeError(`expected DNS:name, URI:uri or IP:v4-address, got ${text}`);
}

const ATTRIBUTES: Readonly<Record<string, string>> = { CN: "2.5.4.3", O: "2.5.4.10", OU: "2.5.4.11" };

function name(subject: string): Uint8Array {
  const parts = subject.split(/\/(?=[A-Z]+=)/).slice(1);
  return sequence(
    ...parts.map((part) => {
      const equals = part.indexOf("=");
      const id = ATTRIBUTES[part.slice(0, equals)];
      if (id === undefined) throw new TypeError(`expected /O=…/OU=…/CN=…, got ${subject}`);
      return tlv(0x31, sequence(oid(id), tlv(0x0c, Buffer.from(part.slice(equals + 1)))));
    }),
  );
}

/** UTCTime: `YYMMDDhhmmssZ`, until 2049. */
function time(at: Date): Uint8Array {
  const digits = at.toISOString().replaceAll(/\D/g, "").slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}

// DER (X.690).

function tlv(tag: number, ...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...head), content]);
}

function sequence(...parts: Uint8Array[]): Uint8Array {
  return tlv(0x30, ...parts);
}

function integer(bytes: Uint8Array | readonly number[]): Uint8Array {
  return tlv(0x02, bytes);
}

function oid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return tlv(0x06, [first * 40 + second, ...rest.flatMap(base128)]);
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));

function wrapped(der: Uint8Array): string {
  return Buffer.from(der)
    .toString("base64")
    .replaceAll(/.{1,64}/g, "$&\n");
}
