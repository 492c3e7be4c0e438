import { afterAll, beforeAll, expect, test } from "bun:test";
import { groupOf, HOSTILE_ANSWERS, type HostileAnswer, OK } from "../http1/test-hostile-answers.ts";
import { RawClient } from "../http1/test-server.ts";
import { CaseTable } from "../testing/case-table.ts";
import { peer, type PeerConnection } from "../upstream/test-kit.ts";
import { type Binary, startBinary } from "./binary.ts";
import { MessageReader } from "./message-reader.ts";

/*
 * The answers of core/http1/hostile-answers.test.ts through the compiled binary: what the client sees, what the log
 * says, and that the connection to such an upstream ends.
 */

const table = new CaseTable(
  "hostile upstreams, the gateway",
  ...["group", "case", "section", "client saw", "upstream saw", "log"],
);
const open = new AsyncDisposableStack();
let gateway: Binary;

// What the upstream does with a request; each case says it anew.
let answer: (connection: PeerConnection) => void = () => undefined;
const upstream = peer((connection) => answer(connection));

beforeAll(async () => {
  gateway = open.use(
    await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
upstreams: { hostile: { targets: ["http://127.0.0.1:${upstream.port}"] } }
routes: [{ match: { path: /* }, upstream: hostile }]
`),
  );
});
afterAll(async () => {
  await open.disposeAsync();
  upstream[Symbol.dispose]();
  process.stdout.write(String(table));
});

/** The codec's tests have limits of their own; the gateway grants an upstream 512 fields and 128 KiB. */
const OVER_LIMITS: readonly HostileAnswer[] = [
  ["RFC 6585 §5", "513 fields", `${OK}${"A: b\r\n".repeat(513)}\r\n`],
  ["RFC 6585 §5", "fields without end", `${OK}${"a:\r\n".repeat(3000)}`],
  [
    "RFC 6585 §5",
    "fields without end in an informational answer",
    `HTTP/1.1 103 E\r\n${"a:\r\n".repeat(3000)}`,
  ],
  ["RFC 6585 §5", "a field of 140,000 bytes", `${OK}A: ${"b".repeat(140_000)}\r\n\r\n`],
  ["RFC 6585 §5", "a field name without end", `${OK}${"a".repeat(140_000)}`],
  [
    "RFC 6585 §5",
    "a flood of trailers",
    `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${"A: b\r\n".repeat(513)}\r\n`,
  ],
  [
    "RFC 6585 §5",
    "a trailer without end",
    `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: ${"b".repeat(140_000)}`,
  ],
];

const cases = [
  ...Object.entries(HOSTILE_ANSWERS).filter(([expected]) => !expected.includes("limits.")),
  ["refused: limits", OVER_LIMITS] as const,
].flatMap(([expected, answers]) =>
  answers.map(([section, what, bytes, options], i) => [section, what, expected, bytes, options, i] as const),
);

/** What becomes of them in the log, by request target. */
const logged = new Map<
  string,
  readonly [row: ReturnType<CaseTable["begin"]>, cells: readonly string[], reason: string | undefined]
>();

test.each(cases)("%s: %s: %s", async (section, what, expected, bytes, options, i) => {
  const row = table.begin(groupOf(expected), what, section);
  const target = `/${expected}/${i}`.replaceAll(/[ :,]+/g, "-");
  const { method = "GET", offered } = options ?? {};
  const { promise, resolve } = Promise.withResolvers<PeerConnection>();
  answer = (connection) => {
    answer = () => undefined;
    connection.write(Buffer.from(bytes, "latin1"));
    // Only where the end of the connection says something: it has to close by itself else.
    if (expected === "broken" || what.startsWith("no framing")) connection.end();
    resolve(connection);
  };
  const isUpgraded = what === "101 that was asked for";
  const offer = offered === undefined ? "" : `Upgrade: ${offered}\r\nConnection: upgrade\r\n`;
  const fields = `${offer}${isUpgraded ? "" : "Connection: close\r\n"}`;
  const client = await RawClient.connect(
    gateway.port,
    `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`,
  );
  const hostile = await promise;
  const saw = isUpgraded ? await switched(client) : await read(client, method);
  await hostile.over;
  if (what !== "no framing and two answers") expect(client.received).not.toContain("poison");
  if (expected === "whole, close") expect(saw).toMatch(/^(?:200|101|204|304), whole/);
  // What it has begun to pass on can only break off.
  else expect(saw).toMatch(/^502, whole|^200, cut off/);
  const reason = expected === "whole, close" ? undefined : expected === "broken" ? "reset" : "protocol";
  logged.set(target, [row, [saw, "closed"], reason]);
});

async function switched(client: RawClient): Promise<string> {
  await client.until("raw");
  client.reset();
  return `${client.received.slice(9, 12)}, whole`;
}

/** What came until the connection ended, as somebody else's reader sees it. */
async function read(client: RawClient, method: string): Promise<string> {
  const bytes = Buffer.from(await client.ended(), "latin1");
  const seen: string[] = [];
  const reader = new MessageReader(
    ({ start, body, complete }) => {
      const status = start.slice(9, 12);
      // Informational answers are not what was asked for.
      if (!status.startsWith("1"))
        seen.push(
          `${status}, ${complete ? "whole" : "cut off"}, ${status === "502" ? "an error" : `${body.byteLength} bytes`}`,
        );
    },
    ({ start }) => method !== "HEAD" && !/ (1\d\d|204|304) /.test(start),
    true,
  );
  reader.feed(bytes);
  reader.end();
  expect(seen).toHaveLength(1);
  return seen[0]!;
}

test("the log has each with its failure class", async () => {
  for (const [target, [row, cells, reason]] of logged) {
    const line = await gateway.line((one) => one["msg"] === "request" && one["target"] === target);
    if (cells[0]!.startsWith("101")) row.passed(...cells, String(line["reason"]));
    else {
      expect(line["reason"]).toBe(reason);
      expect(line["failed"]).toBe(reason === undefined ? undefined : "upstream");
      row.passed(...cells, reason === undefined ? "no failure" : `upstream, ${reason}`);
    }
  }
  expect(logged.size).toBe(cases.length);
});
