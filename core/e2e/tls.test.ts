import { afterAll, beforeAll, expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Binary, startBinary, temporaryDir } from "./binary.ts";
import { echoClient, type EchoServer, type Message, startEchoServer } from "./grpc-echo.ts";
import { type HttpUpstream, startHttpUpstream } from "./http-upstream.ts";

/* TLS on the compiled binary: ALPN, gRPC, client certificates, rotation. */

let dir: string;
let gateway: Binary;
let upstream: HttpUpstream;
let echo: EchoServer;

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: dir });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** NAME.pem and NAME.key, signed by ca.pem. */
function certificate(name: string, subject: string, san: string): void {
  openssl(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
    "-subj",
    subject,
    "-addext",
    `subjectAltName=${san}`,
  );
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-out",
    `${name}.pem`,
    "-days",
    "2",
    "-copy_extensions",
    "copy",
  );
}

beforeAll(async () => {
  dir = temporaryDir();
  openssl(
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=Test CA",
  );
  certificate("one", "/CN=one", "DNS:localhost,IP:127.0.0.1");
  certificate("two", "/CN=two", "DNS:localhost,IP:127.0.0.1");
  certificate("client", "/CN=client", "DNS:client.example");
  // Signed by nobody that the gateway knows.
  openssl(
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    "rogue.key",
    "-out",
    "rogue.pem",
    "-days",
    "2",
    "-subj",
    "/CN=rogue",
  );
  upstream = startHttpUpstream("http");
  echo = await startEchoServer();
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
      "cert.pem": readFileSync(join(dir, "one.pem"), "utf8"),
      "key.pem": readFileSync(join(dir, "one.key"), "utf8"),
      "ca.pem": readFileSync(join(dir, "ca.pem"), "utf8"),
    },
  );
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

async function curl(
  ...args: string[]
): Promise<{ code: number; status: number; version: string; body: string }> {
  const child = Bun.spawn(
    ["curl", "-sS", "-m", "10", "--cacert", "ca.pem", "-w", "\n%{http_code} %{http_version}", ...args],
    {
      cwd: dir,
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
  const credentials = grpc.credentials.createSsl(readFileSync(join(dir, "ca.pem")));
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
  const subject = (): string => {
    const { stdout } = Bun.spawnSync(
      [
        "sh",
        "-c",
        `openssl s_client -connect ${gateway.listener()} -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -subject`,
      ],
      { cwd: dir },
    );
    return stdout.toString().trim();
  };
  expect(subject()).toContain("one");
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
    copyFileSync(join(dir, `${name}.key`), join(gateway.dir, "key.pem"));
    copyFileSync(join(dir, `${name}.pem`), join(gateway.dir, "cert.pem"));
    await gateway.line((line) => gateway.lines.indexOf(line) >= before && line["msg"] === "reloaded");
    expect(subject()).toContain(name);
  }
  going = false;
  await fresh;
  wrk.kill("SIGINT");
  const load = await new Response(wrk.stdout).text();
  expect(load).not.toMatch(/Socket errors|Non-2xx/);
  expect(load).toMatch(/[1-9]\d* requests in/);
  expect(new Set(statuses)).toEqual(new Set([200]));
}, 60_000);
