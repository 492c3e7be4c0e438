import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { testCertificates } from "../listener/test-certificates.ts";
import { CaseTable } from "../testing/case-table.ts";
import { type Binary, startBinary } from "./binary.ts";
import { freePort } from "./free-port.ts";
import { PolicyClient } from "./policy-client.ts";
import { KINDS } from "./policy-world.ts";

/* A target that is the gateway itself, on the compiled binary with every kind of upstream: `Via` tells (RFC 9110 §7.6.3). */

const table = new CaseTable(
  "an upstream that is the gateway itself",
  "upstream",
  "answer",
  "reason",
  "requests",
);

const open = new AsyncDisposableStack();
let gateway: Binary;
let client: PolicyClient;

beforeAll(async () => {
  const certificates = open.use(testCertificates());
  const own = certificates.issue("own", "/CN=own", "IP:127.0.0.1");
  const ports = { http: freePort(), https: freePort() };
  const upstreams = KINDS.map(({ speech, protocol, scheme }) => {
    const tls = scheme === "https" ? ", tls: { ca: ./ca.pem }" : "";
    return `  ${speech}: { protocol: ${protocol}, targets: ["${scheme}://127.0.0.1:${ports[scheme]}"]${tls} }`;
  });
  const routes = KINDS.map(
    ({ speech }) => `  - { match: { header: { x-to: ${speech} } }, upstream: ${speech} }`,
  );
  gateway = open.use(
    await startBinary(
      `version: 1
listeners:
  - { address: "127.0.0.1:${ports.http}" }
  - { address: "127.0.0.1:${ports.https}", tls: { cert: ./cert.pem, key: ./key.pem } }
upstreams:
${upstreams.join("\n")}
routes:
${routes.join("\n")}
`,
      {
        "ca.pem": readFileSync(certificates.ca, "utf8"),
        "cert.pem": readFileSync(own.cert, "utf8"),
        "key.pem": readFileSync(own.key, "utf8"),
      },
    ),
  );
  client = open.use(new PolicyClient(gateway.listener()));
});
afterAll(async () => {
  await open.disposeAsync();
  process.stdout.write(String(table));
});

test.each(KINDS.map((kind) => [kind.title, kind] as const))("%s", async (title, { speech }) => {
  const row = table.begin(title);
  const from = gateway.lines.length;
  const { status, reason } = await client.call(speech, speech, "loop-0");
  expect([status, reason]).toEqual(speech === "grpc" ? ["INTERNAL", ""] : ["508", "loop"]);
  // The outer request and the inner one, which went no further.
  const isRequest = (line: Readonly<Record<string, unknown>>): boolean => line["msg"] === "request";
  const inner = await gateway.line(isRequest, from);
  await gateway.line((line) => isRequest(line) && line !== inner, from);
  const requests = gateway.lines.slice(from).filter(isRequest).length;
  expect(requests).toBe(2);
  row.passed(status, reason, String(requests));
});
