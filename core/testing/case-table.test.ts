import { expect, test } from "bun:test";
import { CaseTable } from "./case-table.ts";

test("a row for each case that ran, aligned, with totals by group", () => {
  const table = new CaseTable("hostile", "group", "case", "ms");
  table.begin("a", "one").passed("1.5");
  table.begin("a", "a long one");
  table.begin("beta", "two").passed("20");
  expect(String(table)).toBe(`
hostile
group  case        ms   ok
a      one         1.5  ok
a      a long one  -    FAILED
beta   two         20   ok
2 of 3 ok: a 1/2, beta 1/1
`);
});
