import { describe, expect, test } from "bun:test";
import { fakeUpstream } from "sluice/testing";
import { testCertificates } from "../../listener/test-certificates.ts";
import { answering, OK, peer, until } from "../test-kit.ts";
import { h2Peer, HEADERS, RST_STREAM } from "../test-h2-peer.ts";
import { watch } from "./test-watch.ts";

/* HTTP checks over both transports, against real peers. */

const answer = (status: string, body: string, ...fields: string[]) =>
  [`HTTP/1.1 ${status}`, `content-length: ${body.length}`, ...fields, "", body].join("\r\n");

describe("what is asked", () => {
  test("the least there is: base path, Host, user-agent", async () => {
    using target = answering(OK);
    using health = watch({ port: target.port, target: { basePath: "/app" } });
    await health.next();
    expect(target.connections[0]!.received).toBe(
      `GET /app/health HTTP/1.1\r\nhost: 127.0.0.1:${target.port}\r\nuser-agent: sluice\r\n\r\n`,
    );
  });

  test("what was configured", async () => {
    using target = answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    const headers = [
      ["user-agent", "probe/1"],
      ["x-token", "abc"],
    ] as const;
    using health = watch({
      port: target.port,
      config: { method: "HEAD", path: "/live?full=1", host: "service.test", headers },
    });
    expect(await health.next()).toBe("true status 200");
    expect(target.connections[0]!.received).toBe(
      "HEAD /live?full=1 HTTP/1.1\r\nhost: service.test\r\nuser-agent: probe/1\r\nx-token: abc\r\n\r\n",
    );
  });

  test.each([
    [{ scheme: "http", host: "a.test", port: 80 }, "a.test"],
    [{ scheme: "http", host: "a.test", port: 443 }, "a.test:443"],
    [{ scheme: "https", host: "a.test", port: 443 }, "a.test"],
    [{ scheme: "http", host: "::1", port: 8080 }, "[::1]:8080"],
    [{ scheme: "unix" }, "localhost"],
  ] as const)("the target %o is called %s", async (fields, expected) => {
    using target = answering(OK);
    using health = watch({ port: target.port, target: fields });
    await health.next();
    expect(target.connections[0]!.received).toContain(`\r\nhost: ${expected}\r\n`);
  });

  test("over HTTP/2, likewise, and on one connection", async () => {
    await using target = await fakeUpstream(() => new Response("fine"), { protocol: "http2" });
    using health = watch({
      port: target.port,
      http2: true,
      target: { basePath: "/app" },
      config: { host: "service.test", body: "fine" },
    });
    for (let i = 0; i < 3; i++) expect(await health.next()).toBe("true status 200");
    const [request] = target.requests;
    expect([request!.target, request!.headers.get(":authority"), request!.headers.get("user-agent")]).toEqual(
      ["/app/health", "service.test", "sluice"],
    );
    expect(health.transports).toHaveLength(1);
    expect(health.transports[0]!.connections).toEqual({ open: 1, idle: 1 });
  });

  test("over TLS, where a certificate that is not trusted is unhealthy", async () => {
    using certificates = testCertificates();
    const pair = certificates.issue("server", "/CN=server", "IP:127.0.0.1");
    const [cert, key, ca] = await Promise.all(
      [pair.cert, pair.key, certificates.ca].map((path) => Bun.file(path).text()),
    );
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: cert!, key: key! },
      fetch: () => new Response("ok"),
    });
    using trusting = watch({ port: server.port!, tls: { ca: Buffer.from(ca!) } });
    expect(await trusting.next()).toBe("true status 200");
    using wary = watch({ port: server.port!, tls: {} });
    expect(await wary.next()).toBe("false tls");
  });
});

describe("what is healthy", () => {
  test.each([
    ["204 No Content", "true status 204"],
    ["299 Odd", "true status 299"],
    ["301 Moved", "false status 301"],
    ["302 Found", "false status 302"],
    ["404 Not Found", "false status 404"],
    ["500 Oh", "false status 500"],
  ])("%s: %s", async (status, expected) => {
    using elsewhere = answering(OK);
    using target = answering(answer(status, "", `location: http://127.0.0.1:${elsewhere.port}/health`));
    using health = watch({ port: target.port });
    expect(await health.next()).toBe(expected);
    expect(elsewhere.connections).toHaveLength(0);
  });

  test("the statuses that are listed, and no others", async () => {
    using target = answering(...["200", "302", "429", "430", "431"].map((status) => answer(status, "")));
    const statuses = [
      [302, 302],
      [429, 430],
    ] as const;
    using health = watch({ port: target.port, config: { statuses } });
    const verdicts: string[] = [];
    for (let i = 0; i < 5; i++) verdicts.push((await health.next()).split(" ")[0]!);
    expect(verdicts).toEqual(["false", "true", "true", "true", "false"]);
  });

  test("a body that holds the text, wherever its pieces are cut", async () => {
    using target = answering(
      answer("200 OK", '{"status":"ready"}'),
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nc\r\n{"status":"r\r\n6\r\neady"}\r\n0\r\n\r\n',
      answer("200 OK", '{"status":"starting"}'),
      answer("200 OK", ""),
      answer("503 No", '{"status":"ready"}'),
    );
    using health = watch({ port: target.port, config: { body: '"ready"' } });
    const verdicts: string[] = [];
    for (let i = 0; i < 5; i++) verdicts.push(await health.next());
    expect(verdicts).toEqual([
      "true status 200",
      "true status 200",
      "false body",
      "false body",
      "false status 503",
    ]);
    expect(target.connections).toHaveLength(1);
  });

  test("within its first 64 KiB: no more is read, and a connection that holds more is not used again", async () => {
    const filler = "x".repeat(65_536 - 4);
    const endless = `HTTP/1.1 200 OK\r\n\r\n${filler}`;
    using target = answering(
      `${endless}fine${filler}`,
      `${endless}.fine${filler}`,
      answer("200 OK", `${filler}fine`),
    );
    using health = watch({ port: target.port, config: { body: "fine" } });
    // It never ends, and is not waited for.
    expect(await health.next()).toBe("true status 200");
    await target.connections[0]!.over;
    expect(await health.next()).toBe("false body");
    await target.connections[1]!.over;
    // Exactly as much is a whole answer.
    expect(await health.next()).toBe("true status 200");
    expect(await health.next()).toBe("true status 200");
    expect(target.connections).toHaveLength(3);
  });
});

describe("faults", () => {
  test("a connection that is refused", async () => {
    using gone = peer();
    const { port } = gone;
    gone[Symbol.dispose]();
    using health = watch({ port });
    expect(await health.next()).toBe("false connect");
    expect(await health.next()).toBe("false connect");
  });

  test.each([
    ["closes without an answer", (connection) => connection.end(), "false reset"],
    ["resets", (connection) => connection.reset(), "false reset"],
    ["speaks something else", (connection) => connection.write("SSH-2.0-x\r\n\r\n"), "false protocol"],
    [
      "breaks off in its body",
      (connection) => {
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        connection.end();
      },
      "false reset",
    ],
  ] satisfies [string, Parameters<typeof peer>[0], string][])(
    "a peer that %s",
    async (_what, does, expected) => {
      using target = peer(does);
      using health = watch({ port: target.port });
      expect(await health.next()).toBe(expected);
    },
  );

  test.each([
    ["never answers", ""],
    ["answers without end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n"],
    ["begins a body and stops", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfine"],
  ])(
    "a peer that %s: timeout, its connection goes, and the next check has one of its own",
    async (_what, says) => {
      using target = peer((connection) => connection.write(says));
      using health = watch({ port: target.port, config: { body: "fine" } });
      for (let i = 0; i < 3; i++) {
        expect(await health.nextHanging(async () => (await target.connection(i)).until("\r\n\r\n"))).toBe(
          "false timeout",
        );
        await target.connections[i]!.over;
      }
      expect(health.took).toEqual([2_000, 2_000, 2_000]);
      expect(health.changes).toEqual(["false timeout"]);
      expect(health.transports.slice(0, 3).map(({ connections }) => connections.open)).toEqual([0, 0, 0]);
    },
  );

  test("a peer that accepts TCP and keeps silent in TLS: timeout, and its connection goes", async () => {
    using target = peer();
    using health = watch({ port: target.port, tls: { verify: false } });
    for (let i = 0; i < 2; i++) {
      const connected = async () => {
        const connection = await target.connection(i);
        await until(() => connection.bytes > 0);
      };
      expect(await health.nextHanging(connected)).toBe("false timeout");
      // Looked at every tenth of a second.
      await health.clock.advance(100);
      await target.connections[i]!.over;
    }
  });

  test("a bad status is what is said, though its body never ends", async () => {
    using target = peer((connection) => connection.write("HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\nfour"));
    using health = watch({ port: target.port });
    const verdict = await health.nextHanging(async () => (await target.connection(0)).until("\r\n\r\n"));
    expect(verdict).toBe("false status 500");
    await target.connections[0]!.over;
  });

  test("a keep-alive connection that the target has closed meanwhile is no failure", async () => {
    using target = answering(OK);
    using health = watch({ port: target.port });
    for (let i = 0; i < 3; i++) {
      expect(await health.next()).toBe("true status 200");
      const connection = await target.connection(i);
      connection.end();
      await until(() => health.transports[0]!.connections.open === 0);
    }
    expect(health.transports).toHaveLength(1);
  });

  test("HTTP/2: a peer that keeps silent has its connection replaced, not only its stream reset", async () => {
    const silent = new Set([0, 1]);
    using target = h2Peer({
      frame(session, { type, stream }, index) {
        if (type === HEADERS && !silent.has(index)) session.head(stream, [[":status", "200"]], true);
      },
    });
    using health = watch({ port: target.port, http2: true });
    for (const index of silent) {
      const verdict = await health.nextHanging(async () => {
        const session = await target.session(index);
        await session.frame(({ type }) => type === HEADERS);
      });
      expect(verdict).toBe("false timeout");
      await target.connections[index]!.over;
      expect(target.sessions[index]!.frames.some(({ type }) => type === RST_STREAM)).toBe(true);
    }
    expect(await health.next()).toBe("true status 200");
    expect(await health.next()).toBe("true status 200");
    expect(target.connections).toHaveLength(3);
  });

  test("HTTP/2: a peer that speaks something else, and one that resets the stream", async () => {
    using http1 = answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    using wrong = watch({ port: http1.port, http2: true });
    expect(await wrong.next()).toBe("false protocol");
    using target = h2Peer({
      frame: (session, { type, stream }) => {
        if (type === HEADERS) session.resetStream(stream, 2);
      },
    });
    using health = watch({ port: target.port, http2: true });
    expect(await health.next()).toBe("false reset");
  });
});
