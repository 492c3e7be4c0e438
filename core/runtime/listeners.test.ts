import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { definePlugin } from "sluice/plugin";
import { fakeUpstream } from "sluice/testing";
import { z } from "zod";
import { testCertificates } from "../listener/test-certificates.ts";
import { failure } from "../listener/test-listener.ts";
import { startProblems, testRuntime } from "./test-runtime.ts";

/* The sockets of a gateway, from one configuration to the next. */

const GET = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
const ROUTES = (status: number): string => `routes: [{ respond: { status: ${status} } }]\n`;
const yamlWith = (listeners: readonly string[], rest: string, admin = "{ address: 127.0.0.1:0 }"): string =>
  `version: 1\nadmin: ${admin}\nlisteners: [${listeners.join(", ")}]\n${rest}`;
const ANY_PORT = "{ address: 127.0.0.1:0 }";

/** Somebody else's port. */
function occupied(): { readonly port: number } & Disposable {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

/** Whether somebody listens there. */
async function isOpen(address: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      ...{ hostname: "127.0.0.1", port: Number(address.split(":").at(-1)) },
      socket: { data() {} },
    });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

const listenersOf = async (gateway: { ask(path: string): Promise<Response> }): Promise<string[]> =>
  ((await (await gateway.ask("/health")).json()) as { listeners: string[] }).listeners;

test("an address that stays keeps its socket and its connections; new limits and routes hold on them", async () => {
  await using gateway = await testRuntime(yamlWith([ANY_PORT], ROUTES(201)));
  const client = await gateway.connect(gateway.address(), GET);
  await client.until("HTTP/1.1 201 ");
  const limited = "{ address: 127.0.0.1:0, limits: { url: 64B }, probes: { live: /alive } }";
  expect((await gateway.reload(yamlWith([limited], ROUTES(202)))).ok).toBe(true);
  expect(await listenersOf(gateway)).toEqual([gateway.address()]);
  await client.send(GET);
  await client.until("HTTP/1.1 202 ");
  expect(await (await gateway.fetch("/alive")).text()).toBe("ok\n");
  expect((await gateway.fetch(`/${"x".repeat(100)}`)).status).toBe(414);
});

test("an address that moves: the new one opens, the old one refuses, and what runs on it finishes", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await fakeUpstream(async () => {
    await gate.promise;
    return new Response("finished");
  });
  const rest = `upstreams: { app: { targets: ["${upstream.url}"] } }\nroutes: [{ upstream: app }]\n`;
  await using gateway = await testRuntime(yamlWith([ANY_PORT], rest));
  const old = gateway.address();
  const idle = await gateway.connect(old);
  const running = await gateway.connect(old, GET);
  await upstream.received(1);
  expect((await gateway.reload(yamlWith(['{ address: "unix:./next.sock" }'], ROUTES(202)))).ok).toBe(true);
  expect(await listenersOf(gateway)).toEqual([`unix:${gateway.dir}/next.sock`]);
  expect((await fetch("http://localhost/", { unix: `${gateway.dir}/next.sock` })).status).toBe(202);
  expect(await isOpen(old)).toBe(false);
  expect(await idle.ended()).toBe("");
  gate.resolve();
  const answer = await running.ended();
  expect(answer).toContain("finished");
  expect(answer.toLowerCase()).toContain("connection: close");
});

test("listeners come and go with the configuration, two on any port among them", async () => {
  await using gateway = await testRuntime(yamlWith([ANY_PORT, ANY_PORT], ROUTES(201)));
  const [first, second] = [gateway.address(0), gateway.address(1)];
  expect(first).not.toBe(second);
  expect((await gateway.reload(yamlWith([ANY_PORT], ROUTES(201)))).ok).toBe(true);
  expect(await listenersOf(gateway)).toEqual([first]);
  expect([await isOpen(first), await isOpen(second)]).toEqual([true, false]);
  expect((await gateway.reload(yamlWith([ANY_PORT, ANY_PORT, ANY_PORT], ROUTES(201)))).ok).toBe(true);
  expect(await listenersOf(gateway)).toHaveLength(3);
});

test("a port in use rejects the reload whole: routes, other listeners, admin", async () => {
  using other = occupied();
  const taken = `127.0.0.1:${other.port}`;
  await using gateway = await testRuntime(yamlWith([ANY_PORT], ROUTES(201)));
  for (const next of [
    yamlWith(['{ address: "unix:./next.sock" }', `{ address: "${taken}" }`], ROUTES(202)),
    yamlWith(['{ address: "unix:./next.sock" }'], ROUTES(202), `{ address: "${taken}" }`),
    yamlWith([`{ address: "${taken}" }`], ROUTES(202), '{ address: "unix:./next.sock" }'),
  ]) {
    expect(await gateway.reload(next)).toEqual({
      ...{ ok: false, generation: 1, errors: [`address ${taken} is already in use`] },
    });
    expect(await listenersOf(gateway)).toEqual([gateway.address()]);
    expect((await gateway.fetch("/")).status).toBe(201);
    expect(await failure(fetch("http://localhost/", { unix: `${gateway.dir}/next.sock` }))).not.toBe("");
  }
  other[Symbol.dispose]();
  const { ok } = await gateway.reload(yamlWith([`{ address: "${taken}" }`], ROUTES(202)));
  expect([ok, await listenersOf(gateway)]).toEqual([true, [taken]]);
});

test("a port in use at the start: one line that names it, nothing listens, steps are closed", async () => {
  using other = occupied();
  const events: string[] = [];
  const noting = definePlugin({
    ...{ apiVersion: 1, name: "noting", description: "Notes." },
    schema: z.strictObject({}),
    setup: () => ({ handle: (_, next) => next(), close: () => void events.push("closed") }),
  });
  const free = occupied();
  free[Symbol.dispose]();
  const yaml = yamlWith(
    [`{ address: "127.0.0.1:${other.port}" }`],
    "routes: [{ pipeline: [noting], respond: { status: 204 } }]\n",
    `{ address: "127.0.0.1:${free.port}" }`,
  );
  expect(await startProblems(yaml, { plugins: [noting] })).toEqual([
    `address 127.0.0.1:${other.port} is already in use`,
  ]);
  expect(events).toEqual(["closed"]);
  expect(await isOpen(`127.0.0.1:${free.port}`)).toBe(false);
});

/** The common name of the certificate that is shown there. */
function shownAt(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = Number(address.split(":").at(-1));
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("certificates that changed are shown by the same socket; ones that are no good reject the reload", async () => {
  using certificates = testCertificates();
  const pem = (name: string): Record<"cert.pem" | "key.pem", string> => {
    const { cert, key } = certificates.issue(name, `/CN=${name}`, "DNS:localhost");
    return { "cert.pem": readFileSync(cert, "utf8"), "key.pem": readFileSync(key, "utf8") };
  };
  const yaml = yamlWith(["{ address: 127.0.0.1:0, tls: { cert: ./cert.pem, key: ./key.pem } }"], ROUTES(201));
  await using gateway = await testRuntime(yaml, { files: pem("one") });
  expect(await shownAt(gateway.address())).toBe("one");
  for (const [name, content] of Object.entries(pem("two"))) gateway.write(name, content);
  // Nobody asks for the reload: the files are watched.
  await gateway.during(gateway.line((line) => line["msg"] === "reloaded"));
  expect(await shownAt(gateway.address())).toBe("two");
  gateway.write("cert.pem", pem("three")["cert.pem"]);
  const result = await gateway.reload(yaml);
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.errors.join("\n")).toContain("key.pem");
  expect(await shownAt(gateway.address())).toBe("two");
});

test("the admin listener may move, and may go", async () => {
  await using gateway = await testRuntime(yamlWith([ANY_PORT], ROUTES(201)));
  expect(
    (await gateway.reload(yamlWith([ANY_PORT], ROUTES(201), '{ address: "unix:./admin.sock" }'))).ok,
  ).toBe(true);
  const unix = `${gateway.dir}/admin.sock`;
  expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  expect(await isOpen(gateway.admin)).toBe(false);
  const none = `version: 1\nlisteners: [${ANY_PORT}]\n${ROUTES(202)}`;
  expect((await gateway.reload(none)).ok).toBe(true);
  // A kept connection is served for a while.
  await gateway.clock.advance(2_500);
  expect(await failure(fetch("http://localhost/healthz", { unix }))).not.toBe("");
  expect((await gateway.fetch("/")).status).toBe(202);
});

test("no more connections are taken than files may be open, and the log says so at the start", async () => {
  await using gateway = await testRuntime(yamlWith([ANY_PORT], ROUTES(201)), { openFiles: 52 });
  expect(gateway.lines.find((line) => line["open_files"] === 52)).toMatchObject({
    ...{ level: "warn", connections: 10 },
  });
  const within = [];
  for (let i = 0; i < 10; i++) within.push(await gateway.connect(gateway.address()));
  const beyond = await gateway.connect(gateway.address(), "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
  expect(await beyond.ended()).toBe("");
  await within[9]!.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
  await within[9]!.until("HTTP/1.1 201 ");
  expect(await gateway.metrics()).toMatch(/sluice_refused_connections_total\{[^}]*\} 1/);
  for (const client of within) client.reset();
});
