import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { ConfigError } from "sluice/plugin";
import type { UpstreamTlsConfig } from "../../config/types.ts";
import { type KeyPair, type TestCertificates, testCertificates } from "../listener/test-certificates.ts";
import { answering, failure, http1, http2, outbound, textOf, until, upstreamConfig } from "./test-kit.ts";
import { loadTls } from "./tls-material.ts";

/* TLS with upstreams, for both protocols. */

let certificates: TestCertificates;
let ca: Buffer;
let server: KeyPair;
let nameOnly: KeyPair;
let expired: KeyPair;
let client: KeyPair;

beforeAll(() => {
  certificates = testCertificates();
  ca = readFileSync(certificates.ca);
  server = certificates.issue("server", "/CN=server", "DNS:localhost,IP:127.0.0.1");
  nameOnly = certificates.issue("name", "/CN=name", "DNS:inner.test");
  expired = certificates.issue("expired", "/CN=expired", "IP:127.0.0.1", new Date("2020-01-01"));
  client = certificates.issue("client", "/CN=client", "DNS:client.test");
});
afterAll(() => certificates[Symbol.dispose]());

const pem = ({ cert, key }: KeyPair) => ({ cert: readFileSync(cert), key: readFileSync(key) });

/** Answers "hello SNI" over HTTP/1.1 and HTTP/2, and counts the connections that came to stand. */
async function secureServer(pair: KeyPair, options: { clientCa?: boolean; http1?: boolean } = {}) {
  const secure = createSecureServer({
    ...pem(pair),
    allowHTTP1: true,
    ...(options.http1 && { ALPNProtocols: ["http/1.1"] }),
    ...(options.clientCa && { ca, requestCert: true, rejectUnauthorized: true }),
  });
  const names: (string | false)[] = [];
  secure.on("secureConnection", (socket: { servername: string | false }) => names.push(socket.servername));
  secure.on("request", (_request, response) => response.end("hello"));
  secure.on("sessionError", () => {});
  secure.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
  const { port } = secure.address() as AddressInfo;
  return { port, names, [Symbol.dispose]: () => void secure.close() };
}

for (const [protocol, transportOf] of [
  ["HTTP/1.1", http1],
  ["HTTP/2", http2],
] as const) {
  test(`${protocol}: a certificate of the given authority for the target's name or address`, async () => {
    using upstream = await secureServer(server);
    for (const host of ["localhost", "127.0.0.1"]) {
      const transport = transportOf({ host, port: upstream.port, tls: { ca } });
      expect(await textOf(await transport.request(outbound({ scheme: "https" })))).toBe("hello");
      transport.close();
    }
    expect(upstream.names[0]).toBe("localhost");
  });

  test(`${protocol}: server_name is sent, and is the name that must match`, async () => {
    using upstream = await secureServer(nameOnly);
    const transport = transportOf({ port: upstream.port, tls: { ca, serverName: "inner.test" } });
    expect((await transport.request(outbound())).status).toBe(200);
    expect(upstream.names).toEqual(["inner.test"]);
    transport.close();
  });

  for (const [name, tls] of [
    ["an unknown authority", () => ({})],
    ["a certificate for another address", () => ({ ca, shown: nameOnly })],
    ["an expired certificate", () => ({ ca, shown: expired })],
    ["a certificate for another name", () => ({ ca, serverName: "else.test" })],
  ] as const) {
    test(`${protocol}: ${name} is a tls failure, and nothing was sent`, async () => {
      const { shown, ...material } = tls() as { ca?: Buffer; serverName?: string; shown?: KeyPair };
      using upstream = await secureServer(shown ?? server);
      const request = outbound();
      const error = await failure(transportOf({ port: upstream.port, tls: material }).request(request));
      expect([error.code, error.reason, error.status]).toEqual(["upstream_failed", "tls", 502]);
      expect(request.progress.sent).toBe(false);
    });
  }

  test(`${protocol}: verify: false takes any certificate`, async () => {
    using upstream = await secureServer(certificates.selfSigned("self"));
    const transport = transportOf({ port: upstream.port, tls: { verify: false } });
    expect((await transport.request(outbound())).status).toBe(200);
    transport.close();
  });

  test(`${protocol}: a client certificate is shown where it is asked for; without one it is a tls failure`, async () => {
    using upstream = await secureServer(server, { clientCa: true });
    const shown = transportOf({ port: upstream.port, tls: { ca, ...pem(client) } });
    expect((await shown.request(outbound())).status).toBe(200);
    shown.close();
    const bare = transportOf({ port: upstream.port, tls: { ca } });
    expect((await failure(bare.request(outbound()))).reason).toBe("tls");
  });

  test(`${protocol}: a peer that does not speak TLS is a tls failure`, async () => {
    using plain = answering("HTTP/1.1 400 Bad Request\r\n\r\n");
    const pending = failure(transportOf({ port: plain.port, tls: { ca } }).request(outbound()));
    const connection = await plain.connection(0);
    await until(() => connection.bytes > 0);
    connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    expect((await pending).reason).toBe("tls");
  });

  test(`${protocol}: idle connections are closed with both sides told`, async () => {
    using upstream = await secureServer(server);
    const transport = transportOf({ port: upstream.port, tls: { ca } });
    await textOf(await transport.request(outbound()));
    await until(() => transport.connections.idle === 1);
    transport.close();
    expect(transport.connections.open).toBe(0);
  });
}

test("HTTP/2: a peer whose ALPN is not h2 is a protocol failure", async () => {
  using upstream = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: pem(server),
    socket: { data() {}, error() {} },
  });
  const error = await failure(http2({ port: upstream.port, tls: { ca } }).request(outbound()));
  expect([error.code, error.reason]).toEqual(["upstream_failed", "protocol"]);
});

// The files that `tls` names.

function load(tls: Partial<UpstreamTlsConfig>): unknown {
  const absent = { ca: undefined, cert: undefined, key: undefined, serverName: undefined, verify: true };
  try {
    return loadTls(upstreamConfig({ name: "secure", tls: { ...absent, ...tls } }));
  } catch (error) {
    return error;
  }
}

test("files that are of no use are named with the field", () => {
  const missing = load({ ca: "/nonexistent/ca.pem" }) as ConfigError;
  expect(missing).toBeInstanceOf(ConfigError);
  expect(missing.path).toEqual(["upstreams", "secure", "tls", "ca"]);
  expect(missing.message).toStartWith("/nonexistent/ca.pem cannot be read");

  const garbage = load({ ca: import.meta.path }) as ConfigError;
  expect(garbage.message).toContain("holds no usable certificate");

  const half = load({ cert: client.cert }) as ConfigError;
  expect(half.message).toBe("a client certificate needs both cert and key");

  const mixed = load({ cert: client.cert, key: server.key }) as ConfigError;
  expect(mixed.path).toEqual(["upstreams", "secure", "tls", "cert"]);
  expect(mixed.message).toContain("no usable pair");
});

test("an upstream without tls trusts the platform's authorities", () => {
  const material = loadTls(upstreamConfig());
  expect([material.ca, material.verify, material.serverName]).toEqual([undefined, true, undefined]);
});
