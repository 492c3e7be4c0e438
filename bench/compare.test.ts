import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDir } from "../core/testing/temporary-dir.ts";
import type { Results } from "./report/results.ts";
import { runOf, TRUTHS } from "./report/test-results.ts";

const noise = { round: 0.03, own: 0.02 };
const run = runOf({ seed: 1, ...noise });
const files = {
  "old/results.json": JSON.stringify(run),
  "same/results.json": JSON.stringify(runOf({ seed: 2, ...noise })),
  "slow.json": JSON.stringify(
    runOf({ seed: 3, ...noise }, { ...TRUTHS, sluice: { ...TRUTHS["sluice"]!, p50: 1.29, p99: 1.84 } }),
  ),
};

async function compare(
  cwd: string,
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "compare.ts"), ...args], {
    cwd,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

describe("bench/compare", () => {
  test("ends with 0 where nothing is worse, and counts what stayed", async () => {
    using dir = temporaryDir(files);
    const { code, out, err } = await compare(dir.path, "old", "same");
    expect(err).toBe("");
    expect(out).toContain("0 worse, 0 better, 26 the same.");
    expect(out).toContain("haproxy, nginx and caddy");
    expect(code).toBe(0);
  });

  test("ends with 1 where a millisecond was added, and shows it, the worst first", async () => {
    using dir = temporaryDir(files);
    const { code, out } = await compare(dir.path, "old", join(dir.path, "slow.json"));
    const worse = out.split("\n").filter((line) => line.startsWith("worse"));
    expect(worse).toHaveLength(12);
    expect(worse[0]).toMatch(
      /latency-of-get-1-kb +\S+ requests\/s +p50, ms .*\+\d{3} % +\+1\.\d+ ms +\+\d{3} %$/,
    );
    expect(out).toContain("12 worse, 0 better, 14 the same.");
    expect(code).toBe(1);
  });

  test("ends with 2 where there were too few rounds to say anything", async () => {
    const few = { "few/results.json": JSON.stringify(runOf({ seed: 4, ...noise }, TRUTHS, 2)) };
    using dir = temporaryDir({ ...files, ...few });
    const { code, out, err } = await compare(dir.path, "old", "few");
    expect(out).toContain("Nothing can be said of 26: fewer than 5 rounds on a side.");
    expect(err).toStartWith("error: nothing can be said");
    expect(code).toBe(2);
  });

  test("says it in Markdown and in JSON", async () => {
    using dir = temporaryDir(files);
    const [markdown, json] = await Promise.all([
      compare(dir.path, "--markdown", "old", "slow.json"),
      compare(dir.path, "--json", "--contender=sluice:haproxy", "old", "old"),
    ]);
    expect(markdown.out).toStartWith("# What moved\n");
    expect(markdown.out).toMatch(/^\| worse +\| latency-of-get-1-kb +\|/m);
    const parsed = JSON.parse(json.out) as {
      format: number;
      figures: { contender: string; verdict: string }[];
    };
    expect(parsed.format).toBe(1);
    expect(parsed.figures[0]).toMatchObject({ contender: "sluice:haproxy", verdict: "better" });
    expect([markdown.code, json.code]).toEqual([1, 0]);
  });

  test.each([
    [["old"], "give two runs, OLD and NEW"],
    [["old", "same", "slow.json"], "give two runs, OLD and NEW"],
    [["--fast", "old", "same"], "Unknown option '--fast'"],
    [["--all", "--contender=nginx", "old", "same"], "--all and --contender exclude each other"],
    [["--contender=a:b:c", "old", "same"], "--contender=a:b:c: not NAME or OLD:NEW"],
  ])("%j is bad usage: 2, with what to write instead", async (args, message) => {
    using dir = temporaryDir(files);
    const { code, out, err } = await compare(dir.path, ...args);
    expect(err).toContain(`error: ${message}`);
    expect(err).toContain("bench/compare [--all]");
    expect([code, out]).toEqual([2, ""]);
  });

  const broken = (change: (copy: { -readonly [K in keyof Results]: unknown }) => void): string => {
    const copy = structuredClone(run) as { -readonly [K in keyof Results]: unknown };
    change(copy);
    return JSON.stringify(copy);
  };

  test.each([
    [["old", "nowhere"], {}, "nowhere: no such file or folder"],
    [["old", "empty"], { "empty/x": "" }, "empty: no results.json in this folder"],
    [["old", "bad.json"], { "bad.json": "{" }, "bad.json: not JSON: "],
    [
      ["old", "bad.json"],
      { "bad.json": "[]" },
      "bad.json: the whole: Invalid input: expected object, received array",
    ],
    [
      ["old", "bad.json"],
      { "bad.json": broken((copy) => (copy.format = 2)) },
      "bad.json: results of format 2; this program reads format 1",
    ],
    [
      ["bad/results.json", "old"],
      { "bad/results.json": JSON.stringify(run).replace(/"throughput":[\d.]+/, '"throughput":"fast"') },
      "bad/results.json: scenarios[0].cases[0].runs.direct.samples[0].throughput: Invalid input: expected number, received string",
    ],
    [
      ["--contender=envoy", "old", "same"],
      {},
      "old: no contender envoy; there are direct, sluice, caddy, haproxy, nginx",
    ],
    [
      ["old", "none.json"],
      {
        "none.json": broken((copy) => (copy.scenarios = run.scenarios.map((one) => ({ ...one, cases: [] })))),
      },
      "old and none.json have no figure in common",
    ],
  ])("%j: 2, with the file and the place", async (args, more, message) => {
    using dir = temporaryDir({ ...files, ...more });
    const { code, out, err } = await compare(dir.path, ...args);
    expect(err).toStartWith(`error: ${message}`);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect([code, out]).toEqual([2, ""]);
  });
});
