import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDir } from "../../core/testing/temporary-dir.ts";
import { chartOf } from "./chart.ts";
import { readResults } from "./read-results.ts";
import { runOf } from "./test-results.ts";
import { writeReport } from "./results-file.ts";

const results = runOf({ seed: 1, round: 0.05, own: 0.03 });

describe("the files of a run", () => {
  test("are read as they were written, by the folder or by the file", async () => {
    using dir = temporaryDir();
    const folder = join(dir.path, "deep/results");
    await writeReport(results, folder);
    expect(await readResults(folder)).toEqual(results);
    expect(await readResults(join(folder, "results.json"))).toEqual(results);
    expect(await Bun.file(join(folder, "report.md")).text()).toContain("](chart.svg)");
    expect(await Bun.file(join(folder, "chart.svg")).text()).toStartWith("<svg ");
  });

  test("do without what is no number", async () => {
    using dir = temporaryDir();
    const [first, ...others] = results.scenarios;
    const samples = [{ throughput: 5, cpu: Number.NaN }];
    const cases = [{ name: "64 connections", runs: { sluice: { command: "x", samples } } }];
    const aims = [{ what: "a", unit: "×", value: Number.NaN, least: 1 }];
    await writeReport({ ...results, scenarios: [{ ...first!, cases, aims }, ...others] }, dir.path);
    const read = await readResults(dir.path);
    expect(read.scenarios[0]!.cases[0]!.runs["sluice"]!.samples).toEqual([{ throughput: 5 }]);
    expect(read.scenarios[0]!.aims[0]!.value).toBeNull();
  });
});

describe("the picture", () => {
  test("is the same for the same results, however many were drawn before", () => {
    expect(chartOf(results)).toBe(chartOf(results));
  });

  test("shows every proxy of the main scenarios on a paper of its own", () => {
    const svg = chartOf(results);
    for (const word of [
      "Throughput",
      "CPU a request",
      "Latency added over direct",
      "p50, ms",
      "req/s",
      "haproxy",
    ])
      expect(svg).toContain(word);
    expect(svg).toMatch(/^<svg [^>]*>\s*<rect width="\d+" height="\d+" x="0" y="0" fill="#fbfbfa">/);
    expect(svg).not.toMatch(/NaN|undefined|class=/);
  });

  test("leaves out who failed", () => {
    const scenarios = results.scenarios.map((one) => ({
      ...one,
      contenders: one.contenders.map((each) => (each.name === "caddy" ? { ...each, failure: "503" } : each)),
    }));
    expect(chartOf(results)).toContain("caddy");
    expect(chartOf({ ...results, scenarios })).not.toContain("caddy");
  });

  test("can be drawn of a run that measured nothing", () => {
    expect(chartOf({ ...results, scenarios: [] })).toContain("Nothing was measured that can be drawn.");
  });
});
