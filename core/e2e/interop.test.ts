import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { testCertificates } from "../listener/test-certificates.ts";
import { aligned } from "../testing/case-table.ts";
import { type Binary, startBinary } from "./binary.ts";
import { CALLS } from "./interop-calls.ts";
import { CHECKS, type Way } from "./interop-checks.ts";
import type { Job } from "./interop-client.ts";
import { checkWithCurl } from "./interop-curl.ts";
import { haproxyBefore, haproxyBehind, nginxBehind, type Ports, type Proxy } from "./interop-proxies.ts";
import { type NodeProcess, startNode } from "./node-process.ts";

/*
 * The compiled binary between other people's programs: every client with every upstream. What is checked of each pair
 * is in interop-checks.ts and, for gRPC, in interop-calls.ts.
 */

const open = new AsyncDisposableStack();
let gateway: Binary;
let node: NodeProcess;
let front: Proxy;
let ca: string;

beforeAll(async () => {
  const certificates = open.use(testCertificates());
  const pair = certificates.issue("gateway", "/CN=gateway", "DNS:localhost,IP:127.0.0.1");
  ca = certificates.ca;
  const servers = open.use(await startNode("interop-servers.ts"));
  const ports = (await servers.next()) as Ports;
  const nginx = open.use(await nginxBehind(ports)).ports;
  const haproxy = open.use(await haproxyBehind(ports)).ports;
  gateway = open.use(
    await startBinary(
      `version: 1
listeners:
  - { address: "127.0.0.1:0" }
  - { address: "127.0.0.1:0", tls: { cert: ./cert.pem, key: ./key.pem } }
admin: { address: "127.0.0.1:0" }
upstreams:
  nginx1: { targets: ["http://127.0.0.1:${nginx.http1}"] }
  nginx2: { protocol: http2, targets: ["http://127.0.0.1:${nginx.http2}"] }
  nginx-grpc: { protocol: grpc, targets: ["http://127.0.0.1:${nginx.grpc}"] }
  haproxy1: { targets: ["http://127.0.0.1:${haproxy.http1}"] }
  haproxy2: { protocol: http2, targets: ["http://127.0.0.1:${haproxy.http2}"] }
  haproxy-grpc: { protocol: grpc, targets: ["http://127.0.0.1:${haproxy.grpc}"] }
  node1: { targets: ["http://127.0.0.1:${ports.http1}"] }
  node2: { protocol: http2, targets: ["http://127.0.0.1:${ports.http2}"] }
  node-grpc: { protocol: grpc, targets: ["http://127.0.0.1:${ports.grpc}"] }
routes:
${["nginx", "haproxy", "node"]
  .map(
    (name) => `  - { match: { host: ${name}.test }, upstream: ${name}-grpc }
  - { match: { path: /${name}1/* }, rewrite: { strip_prefix: /${name}1 }, upstream: ${name}1 }
  - { match: { path: /${name}2/* }, rewrite: { strip_prefix: /${name}2 }, upstream: ${name}2 }`,
  )
  .join("\n")}
`,
      { "cert.pem": readFileSync(pair.cert, "utf8"), "key.pem": readFileSync(pair.key, "utf8") },
    ),
  );
  front = open.use(await haproxyBefore(gateway.port));
  node = open.use(await startNode("interop-client.ts"));
});

/** Cells by client and upstream. */
const results = new Map<string, string>();

afterAll(async () => {
  await open.disposeAsync();
  const matrix = (clients: readonly string[], upstreams: readonly string[]): string =>
    aligned([
      ["client", ...upstreams],
      ...clients.map((client) => [
        client,
        ...upstreams.map((upstream) => results.get(`${client}: ${upstream}`) ?? "-"),
      ]),
    ]);
  process.stdout.write(`
interop: what passed of each pair
${matrix(
  HTTP_CLIENTS.map(([name]) => name),
  HTTP_UPSTREAMS.map(([name]) => name),
)}
${CHECKS.map(({ name }) => name).join(", ")}; keep-alive on both sides. nginx passes no trailers on.

${matrix(
  GRPC_CLIENTS.map(([name]) => name),
  GRPC_UPSTREAMS.map(([name]) => name),
)}
${CALLS.map(([name]) => name).join(", ")}
`);
});

/** Whether trailers pass: nginx drops them. */
const HTTP_UPSTREAMS: readonly (readonly [name: string, prefix: string, trailers: boolean])[] = [
  ["nginx HTTP/1.1", "/nginx1", false],
  ["nginx h2c", "/nginx2", false],
  ["HAProxy HTTP/1.1", "/haproxy1", true],
  ["HAProxy h2c", "/haproxy2", true],
  ["Node http", "/node1", true],
  ["Node http2", "/node2", true],
];

type Run = (prefix: string, way: Way) => Promise<string[]>;
const plain = (): string => `http://${gateway.listener()}`;
const byNode = async (job: Job): Promise<string[]> => {
  node.tell(job);
  return (await node.next()) as string[];
};

/** Whether the client sends trailers: curl cannot. */
const HTTP_CLIENTS: readonly (readonly [name: string, requestTrailers: boolean, run: Run])[] = [
  ["curl HTTP/1.1", false, (prefix, way) => checkWithCurl(plain(), prefix, ["--http1.1"], way)],
  ["curl h2c", false, (prefix, way) => checkWithCurl(plain(), prefix, ["--http2-prior-knowledge"], way)],
  [
    "curl https, ALPN h2",
    false,
    (prefix, way) =>
      checkWithCurl(`https://${gateway.listener(1)}`, prefix, ["--http2", "--cacert", ca], way),
  ],
  ["Node http", true, (prefix, way) => byNode({ kind: "http1", origin: plain(), prefix, way })],
  ["Node http2", true, (prefix, way) => byNode({ kind: "http2", origin: plain(), prefix, way })],
  [
    "HAProxy, HTTP/1.1",
    true,
    (prefix, way) => byNode({ kind: "http1", origin: `http://127.0.0.1:${front.ports.http1}`, prefix, way }),
  ],
  [
    "HAProxy, proto h2",
    true,
    (prefix, way) => byNode({ kind: "http1", origin: `http://127.0.0.1:${front.ports.http2}`, prefix, way }),
  ],
];

const httpPairs = HTTP_CLIENTS.flatMap(([client, sendsTrailers, run]) =>
  HTTP_UPSTREAMS.map(
    ([upstream, prefix, trailers]) =>
      [
        client,
        upstream,
        () => run(prefix, { trailers, requestTrailers: trailers && sendsTrailers }),
      ] as const,
  ),
);

const GRPC_UPSTREAMS = [
  ["nginx grpc_pass", "nginx.test"],
  ["HAProxy proto h2", "haproxy.test"],
  ["grpc-js", "node.test"],
] as const;

const GRPC_CLIENTS: readonly (readonly [name: string, address: () => string, isTls: boolean])[] = [
  ["grpc-js", () => gateway.listener(), false],
  ["grpc-js, TLS", () => gateway.listener(1), true],
  ["grpc-js, HAProxy, proto h2", () => `127.0.0.1:${front.ports.grpc}`, false],
];

const grpcPairs = GRPC_CLIENTS.flatMap(([client, address, isTls]) =>
  GRPC_UPSTREAMS.map(
    ([upstream, authority]) =>
      [
        client,
        upstream,
        () => byNode({ kind: "grpc", address: address(), authority, ca: isTls ? ca : undefined }),
      ] as const,
  ),
);

test.each([...httpPairs, ...grpcPairs])("%s: %s", async (client, upstream, run) => {
  const cell = `${client}: ${upstream}`;
  results.set(cell, "FAILED");
  expect(await run()).toEqual([]);
  results.set(cell, `${client.startsWith("grpc") ? CALLS.length : CHECKS.length + 1} ok`);
});
