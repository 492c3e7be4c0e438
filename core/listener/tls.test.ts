import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { eventually } from "../http1/test-server.ts";
import type { Inbound } from "./inbound.ts";
import { type KeyPair, type TestCertificates, testCertificates } from "./test-certificates.ts";
import { failure, GET, PROXY_V2, tellFacts, testListener, toldFacts } from "./test-listener.ts";
import { splitAltNames } from "./tls-facts.ts";
import { loadTlsMaterial, type TlsMaterial } from "./tls-material.ts";

let certificates: TestCertificates;
let one: KeyPair;
let two: KeyPair;
let client: KeyPair;
let stranger: KeyPair;
let tls: TlsMaterial;
let mutual: TlsMaterial;

beforeAll(async () => {
  certificates = testCertificates();
  one = certificates.issue("one", "/CN=one", "DNS:localhost,IP:127.0.0.1");
  two = certificates.issue("two", "/CN=two", "DNS:localhost");
  client = certificates.issue("client", "/O=Test, Inc./CN=client", "URI:spiffe://a/b,DNS:c.test");
  stranger = certificates.selfSigned("stranger");
  const common = { ...one, clientCa: undefined, minVersion: "1.2" } as const;
  tls = await loadTlsMaterial(common);
  mutual = await loadTlsMaterial({ ...common, clientCa: certificates.ca });
});

afterAll(() => certificates[Symbol.dispose]());

function pem(pair: KeyPair): { cert: string; key: string } {
  return { cert: readFileSync(pair.cert, "utf8"), key: readFileSync(pair.key, "utf8") };
}

/** A TLS client that trusts the test's authority. Rejects when the handshake fails. */
function dial(options: ConnectionOptions): Promise<TLSSocket> {
  const ca = readFileSync(certificates.ca, "utf8");
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", servername: "localhost", ca, ...options }, () =>
      resolve(socket),
    );
    socket.on("error", reject);
  });
}

/** Everything that arrives until the other side ends. */
function all(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => resolve(text));
    socket.on("close", () => resolve(text));
    socket.on("end", () => socket.end());
  });
}

async function ask(options: ConnectionOptions): Promise<ReturnType<typeof toldFacts>> {
  const socket = await dial(options);
  const answer = all(socket);
  socket.write(GET);
  return toldFacts(await answer);
}

test("HTTP/1.1 over TLS, with and without ALPN; the facts are those of the handshake", async () => {
  using served = await testListener(tellFacts, { tls });
  const { port } = served;
  const told = await ask({ port, ALPNProtocols: ["http/1.1"] });
  expect(told).toMatchObject({ httpVersion: "1.1", scheme: "https" });
  expect(told.connection.tls).toMatchObject({
    version: "TLSv1.3",
    serverName: "localhost",
    alpn: "http/1.1",
  });
  expect(told.connection.tls?.cipher).toStartWith("TLS_");
  expect(told.connection.tls?.clientCertificate).toBeUndefined();
  expect(told.connection).toMatchObject({ peerAddress: "127.0.0.1", localPort: port });
  const plain = await ask({ port });
  expect(plain.connection.tls?.alpn).toBeUndefined();
});

test("HTTP/2 by ALPN", async () => {
  using served = await testListener(tellFacts, { tls });
  const session = connectHttp2(`https://localhost:${served.port}`, { ca: readFileSync(certificates.ca) });
  const stream = session.request({ ":path": "/" });
  let body = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => (body += text));
  await new Promise((resolve) => stream.on("end", resolve));
  session.destroy();
  const told = JSON.parse(body) as Inbound;
  expect(told).toMatchObject({ httpVersion: "2", scheme: "https", connection: { tls: { alpn: "h2" } } });
});

test("only what the listener serves is offered by ALPN", async () => {
  using served = await testListener(tellFacts, { tls, protocols: ["http1"] });
  const socket = await dial({ port: served.port, ALPNProtocols: ["h2", "http/1.1"] });
  expect(socket.alpnProtocol).toBe("http/1.1");
  socket.destroy();
  expect(await failure(dial({ port: served.port, ALPNProtocols: ["h2"] }))).not.toBe("");
  await eventually(() => served.events.length === 1);
  expect(served.events).toEqual(["tls_handshake"]);
});

test("a client certificate is asked for, verified and known", async () => {
  using served = await testListener(tellFacts, { tls: mutual });
  const told = await ask({ port: served.port, ...pem(client) });
  expect(told.connection.tls?.clientCertificate).toEqual({
    subject: "O=Test\\, Inc., CN=client",
    subjectAltNames: ["URI:spiffe://a/b", "DNS:c.test"],
    fingerprint256: expect.stringMatching(/^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/),
  });
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "over %s, no certificate and a stranger's are refused",
  async (version) => {
    let served = 0;
    using listener = await testListener(() => served++, { tls: mutual });
    for (const identity of [{}, pem(stranger)]) {
      const options = { port: listener.port, maxVersion: version, minVersion: version, ...identity };
      const answer = await dial(options).then(
        (socket) => {
          const text = all(socket);
          socket.write(GET);
          return text;
        },
        () => "",
      );
      expect(answer).toBe("");
    }
    await eventually(() => listener.events.length === 2);
    expect(listener.events).toEqual(["client_certificate", "client_certificate"]);
    expect(served).toBe(0);
    await eventually(() => listener.listener.connections === 0);
  },
);

test("the minimum version is kept", async () => {
  using served = await testListener(tellFacts, { tls: { ...tls, minVersion: "1.3" } });
  expect(await failure(dial({ port: served.port, maxVersion: "TLSv1.2" }))).not.toBe("");
  expect((await ask({ port: served.port })).connection.tls?.version).toBe("TLSv1.3");
  served.listener.update({ tls });
  expect((await ask({ port: served.port, maxVersion: "TLSv1.2" })).connection.tls?.version).toBe("TLSv1.2");
});

test("a new certificate is for new connections; the old ones live on", async () => {
  using served = await testListener(tellFacts, { tls });
  const old = await dial({ port: served.port });
  expect(old.getPeerCertificate().subject.CN).toBe("one");
  served.listener.update({ tls: await loadTlsMaterial({ ...two, clientCa: undefined, minVersion: "1.2" }) });
  const fresh = await dial({ port: served.port });
  expect(fresh.getPeerCertificate().subject.CN).toBe("two");
  fresh.destroy();
  const answer = all(old);
  old.write(GET);
  expect(toldFacts(await answer).httpVersion).toBe("1.1");
});

/** A TLS client behind a PROXY header, which comes in one segment with the ClientHello or in its own. */
async function dialBehindProxy(
  port: number,
  together: boolean,
  options: ConnectionOptions,
): Promise<TLSSocket> {
  const raw = connectTcp(port, "127.0.0.1");
  await new Promise((resolve) => raw.once("connect", resolve));
  let before = PROXY_V2;
  if (!together) {
    raw.write(before);
    before = Buffer.alloc(0);
    await Bun.sleep(5);
  }
  const relay = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      raw.write(Buffer.concat([before, chunk]));
      before = Buffer.alloc(0);
      done();
    },
    final(done) {
      raw.end();
      done();
    },
  });
  raw.on("data", (chunk) => relay.push(chunk));
  raw.on("end", () => relay.push(null));
  raw.on("error", () => relay.destroy());
  return dial({ ...options, socket: relay });
}

test.each([
  ["in a segment of its own", false],
  ["in one segment with the ClientHello", true],
])("a PROXY header %s goes before TLS", async (_name, together) => {
  using served = await testListener(tellFacts, { tls: mutual, proxyProtocol: true, trusts: () => true });
  const options = { ...pem(client), ALPNProtocols: ["http/1.1"] };
  const socket = await dialBehindProxy(served.port, together, options);
  const answer = all(socket);
  socket.write(GET);
  const { connection } = toldFacts(await answer);
  expect(connection).toMatchObject({
    peerAddress: "203.0.113.7",
    localPort: 443,
    socketAddress: "127.0.0.1",
  });
  expect(connection.tls).toMatchObject({ version: "TLSv1.3", serverName: "localhost", alpn: "http/1.1" });
  expect(connection.tls?.clientCertificate?.subject).toBe("O=Test\\, Inc., CN=client");
  await eventually(() => served.listener.connections === 0);
});

test("a stranger's certificate is refused behind a PROXY header, too", async () => {
  using served = await testListener(tellFacts, { tls: mutual, proxyProtocol: true, trusts: () => true });
  const socket = await dialBehindProxy(served.port, true, pem(stranger)).catch(() => undefined);
  if (socket !== undefined) expect(await all(socket)).toBe("");
  await eventually(() => served.listener.connections === 0);
  expect(served.events).toEqual(["client_certificate"]);
});

test("plain HTTP on a TLS port, garbage and silence end in a closed connection", async () => {
  using served = await testListener(tellFacts, { tls, limits: { headerTimeout: 1000 } });
  for (const bytes of [GET, "\u0016\u0003\u0001garbage garbage garbage", hello(50)]) {
    const raw = await served.connect(bytes);
    await raw.ended();
  }
  expect(served.events).toEqual(["tls_handshake", "tls_handshake", "tls_handshake"]);
  const silent = await served.connect();
  await eventually(() => served.listener.connections === 1);
  await served.clock.advance(1500);
  await silent.ended();
  expect(served.events.at(-1)).toBe("timeout");
  await eventually(() => served.listener.connections === 0);
});

function hello(length: number): string {
  return "\u0016\u0003\u0001\u0000\u0005\u0001" + "\u0000".repeat(length);
}

test("files that do not work are named", async () => {
  const config = { ...one, clientCa: undefined, minVersion: "1.2" } as const;
  const missing = join(certificates.dir, "missing.pem");
  const empty = join(certificates.dir, "empty.pem");
  const damaged = join(certificates.dir, "damaged.pem");
  writeFileSync(empty, "nothing\n");
  writeFileSync(damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const cases: (readonly [Partial<Parameters<typeof loadTlsMaterial>[0]>, string])[] = [
    [{ cert: missing }, `tls.cert: cannot read ${missing} (ENOENT)`],
    [{ key: missing }, `tls.key: cannot read ${missing} (ENOENT)`],
    [{ cert: empty }, `tls.cert: ${empty} holds no PEM certificate`],
    [{ cert: damaged }, `tls.cert: certificate 1 of ${damaged} is damaged`],
    [{ key: empty }, `tls.key: ${empty} holds no PEM private key`],
    [{ key: two.key }, `tls.key: ${two.key} is not the key of the certificate in ${one.cert}`],
    [{ clientCa: empty }, `tls.client_ca: ${empty} holds no PEM certificate`],
  ];
  for (const [change, message] of cases) {
    expect(await failure(loadTlsMaterial({ ...config, ...change }))).toContain(message);
  }
});

test("alternative names that hold a comma are one name", () => {
  expect(splitAltNames('DNS:a.test, URI:"http://a/?x=1,DNS:evil.test", IP Address:::1')).toEqual([
    "DNS:a.test",
    "URI:http://a/?x=1,DNS:evil.test",
    "IP Address:::1",
  ]);
});
