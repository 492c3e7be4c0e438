import { afterAll, expect, test } from "bun:test";
import { CaseTable } from "../testing/case-table.ts";
import { receive, verdict } from "./test-answers.ts";
import { chunks, groupOf, HOSTILE_ANSWERS, OK, SECOND } from "./test-hostile-answers.ts";
import { bytesOf, cuts, outcome } from "./test-messages.ts";

/*
 * Answers that a hostile or broken server sends. Each is refused, seen as broken, or taken for whole while its
 * connection is given up: nothing of it can be taken for the answer to another request. core/e2e/hostile-upstream.test.ts
 * has the same through the whole gateway.
 */

const rows = Object.entries(HOSTILE_ANSWERS).flatMap(([expected, cases]) =>
  cases.map(([section, what, bytes, options]) => [section, what, expected, bytes, options] as const),
);

const table = new CaseTable("hostile upstreams, the codec", "group", "case", "section", "expected");
afterAll(() => void process.stdout.write(String(table)));

test.each(rows)("%s: %s: %s", (section, what, expected, text, options) => {
  const row = table.begin(groupOf(expected), what, section, expected);
  const judge = (pieces: readonly Uint8Array[]): string => {
    const result = outcome(() => receive(pieces, options));
    return "refused" in result ? `refused: ${result.reason}` : verdict(result);
  };
  const bytes = bytesOf(text);
  expect(judge([bytes])).toBe(expected);
  // However it is cut; the floods by a few cuts only.
  if (bytes.byteLength <= 300) for (const pieces of cuts(bytes)) expect(judge(pieces)).toBe(expected);
  else
    for (const at of [1, 7, 100, 4097])
      expect(judge([bytes.subarray(0, at), bytes.subarray(at)])).toBe(expected);
  row.passed();
});

test("a body is what its framing says, whatever it looks like", () => {
  const inner = bytesOf(SECOND);
  const counted = receive([bytesOf(`${OK}Content-Length: ${inner.byteLength}\r\n\r\n${SECOND}`)]);
  expect([counted.body.toString(), verdict(counted)]).toEqual([SECOND, "whole"]);
  const hex = inner.byteLength.toString(16);
  const chunked = receive([bytesOf(chunks(`${hex}\r\n${SECOND}\r\n0\r\n\r\n`))]);
  expect([chunked.body.toString(), verdict(chunked)]).toEqual([SECOND, "whole"]);
});

test("informational answers are counted for each final answer", () => {
  const many = bytesOf(`${"HTTP/1.1 102 P\r\n\r\n".repeat(100)}${SECOND}`);
  expect(receive([many]).informed).toHaveLength(100);
});
