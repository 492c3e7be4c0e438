import { afterAll, beforeAll, expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { type KeyPair, type TestCertificates, testCertificates } from "../listener/test-certificates.ts";
import { type Binary, startBinary } from "./binary.ts";
import { echoClient, type Message, startEchoServer } from "./grpc-echo.ts";
import { startHttpUpstream } from "./http-upstream.ts";

/* TLS on the compiled binary: ALPN, gRPC, client certificates, rotation. */

let certificates: TestCertificates;
let one: KeyPair;
let gateway: Binary;
const open = new AsyncDisposableStack();

beforeAll(async () => {
  certificates = open.use(testCertificates());
  one = certificates.issue("one", "/CN=one", "DNS:localhost,IP:127.0.0.1");
  certificates.issue("two", "/CN=two", "DNS:localhost,IP:127.0.0.1");
  certificates.issue("client", "/CN=client", "DNS:client.example");
  certificates.selfSigned("rogue");
  const upstream = open.use(startHttpUpstream("http"));
  const echo = open.use(await startEchoServer());
  gateway = await startBinary(
    `version: 1
listeners:
  - { address: "127.0.0.1:0", tls: { cert: ./cert.pem, key: ./key.pem } }
  - { address: "127.0.0.1:0", tls: { cert: ./cert.pem, key: ./key.pem, client_ca: ./ca.pem, min_version: "1.3" } }
admin: { address: "127.0.0.1:0" }
upstreams:
  http: { targets: ["http://127.0.0.1:${upstream.port}"] }
  grpc: { protocol: grpc, targets: ["http://127.0.0.1:${echo.port}"] }
routes:
  - { match: { path: /t.Echo/* }, upstream: grpc }
  - { match: { path: /* }, upstream: http }
`,
    {
      "cert.pem": readFileSync(one.cert, "utf8"),
      "key.pem": readFileSync(one.key, "utf8"),
      "ca.pem": readFileSync(certificates.ca, "utf8"),
    },
  );
  open.use(gateway);
});

afterAll(() => open.disposeAsync());

async function curl(
  ...args: string[]
): Promise<{ code: number; status: number; version: string; body: string }> {
  const child = Bun.spawn(
    ["curl", "-sS", "-m", "10", "--cacert", "ca.pem", "-w", "\n%{http_code} %{http_version}", ...args],
    {
      cwd: certificates.dir,
      stdout: "pipe",
      stderr: "ignore",
    },
  );
  const lines = (await new Response(child.stdout).text()).split("\n");
  const [status, version] = (lines.pop() ?? "").split(" ");
  return { code: await child.exited, status: Number(status), version: version ?? "", body: lines.join("\n") };
}

test.each([
  ["--http1.1", "1.1"],
  ["--http2", "2"],
])("ALPN: %s", async (flag, version) => {
  const answer = await curl(flag, `https://${gateway.listener()}/x`);
  expect(answer).toMatchObject({ status: 200, version });
  expect((JSON.parse(answer.body) as { headers: Record<string, string> }).headers["x-forwarded-proto"]).toBe(
    "https",
  );
});

test("gRPC over TLS", async () => {
  const credentials = grpc.credentials.createSsl(readFileSync(certificates.ca));
  // By name: Bun's client refuses an IP address as the TLS server name that grpc-js sends.
  const client = echoClient(`localhost:${gateway.port}`, credentials);
  const reply = await new Promise<Message | undefined>((resolve, reject) => {
    client.Unary({ text: "tls", number: "1" }, new grpc.Metadata(), {}, (error, got) =>
      error === null ? resolve(got) : reject(error),
    );
  });
  expect(reply?.text).toBe("tls");
  client.close();
});

test("a client certificate is required where client_ca stands, and TLS 1.2 refused where 1.3 is the minimum", async () => {
  const url = `https://${gateway.listener(1)}/x`;
  expect((await curl(url)).code).not.toBe(0);
  expect((await curl("--cert", "rogue.pem", "--key", "rogue.key", url)).code).not.toBe(0);
  expect((await curl("--cert", "client.pem", "--key", "client.key", url)).status).toBe(200);
  expect((await curl("--tls-max", "1.2", "--cert", "client.pem", "--key", "client.key", url)).code).not.toBe(
    0,
  );
});

test("a certificate rotated under load: no failed request, and the new one is served", async () => {
  const subject = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = {
        port: gateway.port,
        host: "127.0.0.1",
        servername: "localhost",
        rejectUnauthorized: false,
      };
      const socket = connect(options, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on("error", reject);
    });
  expect(await subject()).toBe("one");
  const wrk = Bun.spawn(["wrk", "-t1", "-c16", "-d", "600s", `https://${gateway.listener()}/x`], {
    stdout: "pipe",
  });
  // New connections all the time, beside wrk's that stay open.
  const statuses: number[] = [];
  let going = true;
  const fresh = (async () => {
    while (going) statuses.push((await curl(`https://${gateway.listener()}/x`)).status);
  })();
  for (const name of ["two", "one", "two"]) {
    const before = gateway.lines.length;
    copyFileSync(join(certificates.dir, `${name}.key`), join(gateway.dir, "key.pem"));
    copyFileSync(join(certificates.dir, `${name}.pem`), join(gateway.dir, "cert.pem"));
    await gateway.line((line) => line["msg"] === "reloaded", before);
    expect(await subject()).toBe(name);
  }
  going = false;
  await fresh;
  wrk.kill("SIGINT");
  const load = await new Response(wrk.stdout).text();
  expect(load).not.toMatch(/Socket errors|Non-2xx/);
  expect(load).toMatch(/[1-9]\d* requests in/);
  expect(new Set(statuses)).toEqual(new Set([200]));
}, 60_000);
