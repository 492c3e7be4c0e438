import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { testCertificates } from "../listener/test-certificates.ts";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { EXIT } from "./command.ts";
import { said } from "./test-terminal.ts";

/* `sluice health` against servers that answer as a gateway does; core/e2e/health.test.ts asks a real one. */

const dir = temporaryDir();
const certificates = testCertificates();
const pair = certificates.issue("server", "/CN=server", "DNS:localhost,IP:127.0.0.1");

const answers = (request: Request): Response => {
  const { pathname } = new URL(request.url);
  if (pathname === "/readyz") return Response.json({ status: "ready" });
  if (pathname === "/draining") return Response.json({ status: "not ready" }, { status: 503 });
  if (pathname === "/moved") return Response.redirect("/readyz", 302);
  return new Response("no such path", { status: 404 });
};
const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answers });
const socket = join(dir.path, "admin.sock");
const unix = Bun.serve({ unix: socket, fetch: answers });
const secure = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  tls: { cert: Bun.file(pair.cert), key: Bun.file(pair.key) },
  fetch: answers,
});

afterAll(async () => {
  await Promise.all([plain.stop(true), unix.stop(true), secure.stop(true)]);
  dir[Symbol.dispose]();
  certificates[Symbol.dispose]();
});

/** A configuration with this `admin` line, as `-c FILE`. */
function configured(admin: string): string[] {
  return [
    "-c",
    dir.write(
      "sluice.yaml",
      `version: 1\nlisteners: [{ address: "127.0.0.1:0" }]\n${admin}routes: [{ respond: { status: 204 } }]\n`,
    ),
  ];
}
const READY = { code: EXIT.ok, out: '200 {"status":"ready"}', err: "" };

test("asks the admin listener of the configuration", async () => {
  const config = configured(`admin: { address: "127.0.0.1:${plain.port}" }\n`);
  expect(await said(["health", ...config])).toEqual(READY);
});

test("an admin listener on every address is asked over loopback", async () => {
  const config = configured(`admin: { address: "0.0.0.0:${plain.port}", token: t0ken }\n`);
  expect((await said(["health", ...config])).out).toBe(READY.out);
});

test("an admin listener on a unix socket", async () => {
  expect(await said(["health", ...configured(`admin: { address: "unix:${socket}" }\n`)])).toEqual(READY);
});

test("--url asks anything else; not ready, moved and not found are no", async () => {
  const ask = (path: string) => said(["health", "--url", `http://127.0.0.1:${plain.port}${path}`]);
  expect(await ask("/readyz")).toEqual(READY);
  expect(await ask("/draining")).toEqual({ code: EXIT.failed, out: '503 {"status":"not ready"}', err: "" });
  expect(await ask("/nowhere")).toEqual({ code: EXIT.failed, out: "404 no such path", err: "" });
  expect((await ask("/moved")).code).toBe(EXIT.failed);
});

test("over TLS: what --ca vouches for, and nothing else", async () => {
  const url = ["--url", `https://127.0.0.1:${secure.port}/readyz`];
  expect(await said(["health", ...url, "--ca", certificates.ca])).toEqual(READY);
  const stranger = certificates.selfSigned("stranger").cert;
  for (const trust of [[], ["--ca", stranger]]) {
    const { code, out, err } = await said(["health", ...url, ...trust]);
    expect([code, out]).toEqual([EXIT.failed, ""]);
    expect(err).toStartWith(`sluice: ${url[1]!} does not answer: `);
    expect(err).toMatch(/certificate/i);
  }
});

test("a --ca that cannot be read is named", async () => {
  const { code, err } = await said(["health", "--url", "https://localhost/", "--ca", "/nonexistent/ca.pem"]);
  expect(code).toBe(EXIT.usage);
  expect(err).toStartWith(
    "sluice health: --ca: ENOENT: no such file or directory, open '/nonexistent/ca.pem'\n",
  );
});

test("nothing listens: one line that says where", async () => {
  const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answers });
  const { port } = gone;
  await gone.stop(true);
  const missing = join(dir.path, "gone.sock");
  const says = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await said(["health", ...args]);
    expect([code, out]).toEqual([EXIT.failed, ""]);
    return err;
  };
  expect(await says("--url", `http://127.0.0.1:${port}/ready`)).toBe(
    `sluice: http://127.0.0.1:${port}/ready does not answer: connection refused`,
  );
  expect(await says(...configured(`admin: { address: "127.0.0.1:${port}" }\n`))).toBe(
    `sluice: http://127.0.0.1:${port}/readyz does not answer: connection refused`,
  );
  expect(await says(...configured(`admin: { address: "unix:${missing}" }\n`))).toBe(
    `sluice: ${missing} does not answer: no such socket`,
  );
});

test("a configuration without a place to ask says so", async () => {
  const none = await said(["health", ...configured("")]);
  expect(none.code).toBe(EXIT.failed);
  const free = await said(["health", ...configured('admin: { address: "127.0.0.1:0" }\n')]);
  expect(free).toEqual({
    code: EXIT.failed,
    out: "",
    err: `sluice: the admin listener of ${dir.path}/sluice.yaml takes any free port (0), use --url`,
  });
  const broken = await said(["health", ...configured("admin: 7\n")], { cwd: dir.path });
  expect([broken.code, broken.out]).toEqual([EXIT.failed, ""]);
  expect(broken.err).toMatch(/^sluice\.yaml:3:8: admin: /);
});
