import { expect, test } from "bun:test";
import { duration, figure, listed, percent, ratio, shell, signed, spread, withUnit } from "./format.ts";
import { markdownTable, plainTable } from "./table.ts";

test("figures have three significant digits, but none below a thousandth", () => {
  const of = [1_234_567, 28_437, 999.6, 412.3, 41.23, 4.123, 0.4123, 0.0412, 0.0001, 0, -28_437, -0.0001];
  expect(of.map(figure)).toEqual([
    "1,230,000",
    "28,400",
    "1,000",
    "412",
    "41.2",
    "4.12",
    "0.412",
    "0.041",
    "0.000",
    "0.000",
    "−28,400",
    "0.000",
  ]);
  expect(figure(Number.NaN)).toBe("–");
});

test("a range is as exact as its median, and is not there where nothing differs", () => {
  expect(spread({ median: 28_437, min: 9_876, max: 31_250 })).toBe("28,400 (9,900–31,300)");
  expect(spread({ median: 9.98, min: 9.712, max: 10.21 })).toBe("9.98 (9.71–10.21)");
  expect(spread({ median: 47.2, min: 47.2, max: 47.2 })).toBe("47.2");
});

test("ratios, changes, units and times are as people write them", () => {
  expect(ratio(0.6166)).toBe("0.62");
  expect([0.116, -0.0049, 0, 3.61, Infinity].map(percent)).toEqual([
    "+11.6 %",
    "−0.5 %",
    "0.0 %",
    "+361 %",
    "–",
  ]);
  expect([1.02, -0.3].map(signed)).toEqual(["+1.02", "−0.300"]);
  expect([withUnit("0.62", "×"), withUnit("38", "µs"), withUnit("4", "% of a core")]).toEqual([
    "0.62×",
    "38 µs",
    "4 % of a core",
  ]);
  expect([90, 1500, 7600].map(duration)).toEqual(["90 s", "25 min", "2 h 7 min"]);
  expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(listed)).toEqual(["", "a", "a and b", "a, b and c"]);
});

test("a command can be put into a shell", () => {
  expect(shell(["wrk", "-c64", "http://127.0.0.1:8080/a", "it's $HOME"])).toBe(
    `wrk -c64 http://127.0.0.1:8080/a 'it'\\''s $HOME'`,
  );
});

test("tables are aligned in their source, pieces of a cell each for itself", () => {
  const columns = [{ title: "who", text: true as const }, { title: "req/s" }];
  const rows = [
    ["sluice", ["28,400", "(27,900–28,800)"]],
    ["a|b\nc", ["412", "(1–2)"]],
  ];
  expect(markdownTable(columns, rows)).toBe(
    [
      "| who    |                  req/s |",
      "| ------ | ---------------------: |",
      "| sluice | 28,400 (27,900–28,800) |",
      "| a\\|b c |    412           (1–2) |",
    ].join("\n"),
  );
  expect(plainTable(columns, [["x", "1"]])).toBe("who  req/s\nx        1");
});
