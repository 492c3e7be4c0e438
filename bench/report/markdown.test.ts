import { describe, expect, test } from "bun:test";
import { reportOf } from "./markdown.ts";
import type { AimResult, ContenderResult, Results, ScenarioResult } from "./results.ts";
import { runOf } from "./test-results.ts";

const results = runOf({ seed: 7, round: 0.05, own: 0.03 });

/** The results with the first scenario changed. */
function withFirst(change: (first: ScenarioResult) => Partial<ScenarioResult>): Results {
  const [first, ...others] = results.scenarios;
  return { ...results, scenarios: [{ ...first!, ...change(first!) }, ...others] };
}

/** The cells of a table's row that begins with these. */
function row(report: string, ...begin: string[]): string[] {
  const rows = report
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim().replace(/ +/g, " ")));
  return rows.find((cells) => begin.every((cell, i) => cells[i + 1] === cell))?.slice(1, -1) ?? [];
}

describe("the head", () => {
  test("says what, when, on what and how", () => {
    const report = reportOf(results);
    expect(report).toStartWith("# Sluice beside caddy, haproxy and nginx\n");
    expect(report).toContain("5 rounds of 3 seconds each after 6 seconds of warm-up");
    expect(row(report, "measured")[1]).toBe("2030-05-04 10:20:30 UTC");
    expect(row(report, "commit")[1]).toBe("`0255feab1c2d`");
    expect(row(report, "machine")[1]).toBe("EPYC 7B13, 2 cores, 8 GiB");
    expect(row(report, "versions")[1]).toContain("haproxy 2.6.12");
    expect(report).toContain("](chart.svg)");
  });
});

describe("aims", () => {
  const aim = (value: number | null, bounds: Pick<AimResult, "least" | "most">): AimResult => ({
    what: `${value} of ${JSON.stringify(bounds)}`,
    unit: "×",
    value,
    ...bounds,
  });

  test("are met, not met or not measured, and none is silent", () => {
    const report = reportOf(
      withFirst(() => ({
        aims: [
          aim(0.6, { least: 0.6 }),
          aim(0.599, { least: 0.6 }),
          aim(2.6, { most: 2.5 }),
          aim(null, { most: 1 }),
        ],
      })),
    );
    expect(report).toContain("Of 4 aims: 1 met, 2 **NOT met**, 1 not measured.");
    expect(row(report, '0.6 of {"least":0.6}').slice(1)).toEqual(["≥ 0.6×", "0.600×", "met"]);
    expect(row(report, '0.599 of {"least":0.6}').slice(1)).toEqual(["≥ 0.6×", "0.599×", "**NOT met**"]);
    expect(row(report, '2.6 of {"most":2.5}').slice(1)).toEqual(["≤ 2.5×", "2.60×", "**NOT met**"]);
    expect(row(report, 'null of {"most":1}').slice(1)).toEqual(["≤ 1×", "–", "not measured"]);
  });

  test("have no table where there are none", () => {
    expect(reportOf(results)).not.toContain("## Aims");
  });
});

describe("a scenario", () => {
  const one = (figures: { readonly [contender: string]: readonly number[] }): Partial<ScenarioResult> => ({
    cases: [
      {
        name: "64 connections",
        runs: Object.fromEntries(
          Object.entries(figures).map(([name, all]) => [
            name,
            { command: `load ${name}`, samples: all.map((throughput) => ({ throughput })) },
          ]),
        ),
      },
    ],
  });

  test("has medians with their ranges, and throughput as a multiple of HAProxy's", () => {
    const report = reportOf(
      withFirst(() => one({ sluice: [20_000, 21_000, 26_000], haproxy: [40_000, 42_000, 41_900] })),
    );
    expect(report).toContain("**64 connections**");
    expect(row(report, "**sluice**")).toEqual(["**sluice**", "21,000 (20,000–26,000)", "0.50"]);
    expect(row(report, "haproxy")).toEqual(["haproxy", "41,900 (40,000–42,000)", "1.00"]);
  });

  test("without HAProxy is set beside the first other program, not a build of Sluice", () => {
    const contenders = ["direct", "sluice", "slow", "portkey"].map((name): ContenderResult => ({
      name,
      command: [],
      files: {},
    }));
    const changed = withFirst(() => ({ contenders, ...one({ sluice: [20], slow: [10], portkey: [5] }) }));
    const report = reportOf({ ...changed, versions: { ...results.versions, portkey: "1.2.3" } });
    expect(report).toContain("× portkey");
    expect(row(report, "**sluice**")).toEqual(["**sluice**", "20.0", "4.00"]);
  });

  test("whose cases are numbers of one thing has one table, in their order", () => {
    const report = reportOf(results);
    expect(row(report, "1", "direct")).not.toEqual([]);
    expect(row(report, "64", "direct")).not.toEqual([]);
    expect(report.indexOf("|           1 | direct")).toBeLessThan(report.indexOf("|          64 | direct"));
    expect(report.indexOf("|          64 | direct")).toBeLessThan(report.indexOf("|       1,000 | direct"));
  });

  test("with latencies says besides what is added over direct", () => {
    const report = reportOf(results);
    const latency = report.slice(
      report.indexOf("## Latency of GET 1 KB"),
      report.indexOf("## Start and rest"),
    );
    const [absolute, added] = latency.split("Over direct, round by round:");
    expect(row(absolute!, "500", "direct")[2]).toStartWith("0.1");
    expect(row(added!, "500", "**sluice**")[2]).toMatch(/^0\.1\d\d \(0\.1\d\d–0\.\d{3}\)$/);
    expect(added).not.toContain("direct  ");
  });

  test("does not show the figures of whoever failed later as if nothing were wrong", () => {
    const report = reportOf(
      withFirst(({ contenders }) => ({
        ...one({ sluice: [20_000], haproxy: [40_000] }),
        contenders: contenders.map((each) => (each.name === "haproxy" ? { ...each, failure: "503" } : each)),
      })),
    );
    expect(row(report, "haproxy (failed)")[1]).toBe("40,000");
  });

  test("says plainly who failed, and that nothing was measured", () => {
    const report = reportOf(
      withFirst(({ contenders }) => ({
        cases: [],
        contenders: contenders.map((each) =>
          each.name === "caddy" ? { ...each, failure: "GET /: 502,\n expected 200" } : each,
        ),
      })),
    );
    expect(report).toContain(
      "- **caddy failed** and took no further part: GET /: 502, expected 200\n\nNothing was measured.",
    );
  });
});

test("commands and configurations are there as they were, whatever is in them", () => {
  const report = reportOf(
    withFirst(() => ({
      contenders: [
        {
          name: "sluice",
          command: ["sluice", "run", "-c", "a b.yaml"],
          files: { "a b.yaml": "a: |\n  ```\n  x\n" },
        },
      ],
    })),
  );
  expect(report).toContain("```sh\nsluice run -c 'a b.yaml'\n```");
  expect(report).toContain("`a b.yaml`:\n\n````\na: |\n  ```\n  x\n````");
  expect(report).toContain("# 64 connections, sluice\nwrk -t1 -c64");
  expect(report.match(/<details>/g)).toHaveLength(results.scenarios.length);
  expect(report.match(/<\/details>/g)).toHaveLength(results.scenarios.length);
});
