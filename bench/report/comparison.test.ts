import { describe, expect, test } from "bun:test";
import type { MetricName } from "../metric.ts";
import { type Comparison, compareResults, type Figure, type Pair } from "./comparison.ts";
import type { Results, ScenarioResult } from "./results.ts";
import { type Noise, runOf, type Truth, TRUTHS } from "./test-results.ts";

const SLUICE: readonly Pair[] = [["sluice", "sluice"]];

function sluiceWith(change: Partial<Truth>): { readonly [contender: string]: Truth } {
  return { ...TRUTHS, sluice: { ...TRUTHS["sluice"]!, ...change } };
}

/** Pairs of runs on a restless machine; `change` is true of the second. */
function* comparisons(count: number, noise: Omit<Noise, "seed">, change: Partial<Truth> = {}, rounds = 5) {
  for (let i = 0; i < count; i++) {
    const old = runOf({ ...noise, seed: 2 * i + 1 }, TRUTHS, rounds);
    const fresh = runOf({ ...noise, seed: 2 * i + 2 }, sluiceWith(change), rounds);
    yield compareResults(old, fresh, SLUICE);
  }
}

const all = (found: Iterable<Comparison>): Figure[] => [...found].flatMap(({ figures }) => figures);
const of = (figures: readonly Figure[], metric: MetricName): Figure[] =>
  figures.filter((one) => one.metric === metric);
const share = (figures: readonly Figure[], verdict: Figure["verdict"]): number =>
  figures.filter((one) => one.verdict === verdict).length / figures.length;

describe("two runs of one build are the same", () => {
  test("on a machine that drifts by 15 % between them and by 8 % from round to round", () => {
    const found = [...comparisons(60, { drift: 0.15, round: 0.04, own: 0.04 })];
    expect(found[0]!.figures.length).toBe(26);
    expect(share(all(found), "same")).toBeGreaterThan(0.997);
  });

  test("nearly always even where nothing of that noise is the machine's", () => {
    expect(share(all(comparisons(60, { drift: 0.15, own: 0.08 })), "same")).toBeGreaterThan(0.99);
  });

  test("and what only the machine moved is named as that", () => {
    const old = runOf({ seed: 1, own: 0.02 });
    const slower = runOf(
      { seed: 2, own: 0.02 },
      Object.fromEntries(
        Object.entries(TRUTHS).map(([name, truth]) => [name, { ...truth, cpu: truth.cpu * 1.2 }]),
      ),
    );
    const cpu = of(compareResults(old, slower, SLUICE).figures, "cpu");
    expect(cpu.map(({ verdict, why }) => [verdict, why])).toEqual(cpu.map(() => ["same", "machine"]));
  });
});

describe("what got worse is found", () => {
  test("a millisecond more, always", () => {
    const { p50, p99 } = TRUTHS["sluice"]!;
    const slept = { p50: p50 + 1, p99: p99 + 1 };
    const figures = all(comparisons(40, { drift: 0.15, round: 0.08, own: 0.08 }, slept));
    expect(share(of(figures, "p50"), "worse")).toBe(1);
    expect(share(of(figures, "p99"), "worse")).toBe(1);
    const [one] = of(figures, "p50");
    expect(one!.overDirect!.difference).toBeWithin(0.7, 1.3);
  });

  test("10 % more CPU at 5 % of noise, nearly always", () => {
    const more = { cpu: TRUTHS["sluice"]!.cpu * 1.1 };
    const shared = of(all(comparisons(40, { round: 0.025, own: 0.025 }, more)), "cpu");
    expect(share(shared, "worse")).toBeGreaterThan(0.98);
    const own = of(all(comparisons(40, { own: 0.05 }, more, 7)), "cpu");
    expect(share(own, "worse")).toBeGreaterThan(0.9);
  });

  test("or better, in the direction of the metric", () => {
    const figures = all(comparisons(5, { round: 0.03, own: 0.02 }, { cpu: 15, idle: 30 }));
    for (const metric of ["cpu", "throughput", "idle"] as const)
      expect(share(of(figures, metric), "better")).toBe(1);
    expect(share(of(figures, "p99"), "same")).toBe(1);
  });

  test("and what a faster machine hides is named", () => {
    const faster = Object.fromEntries(
      Object.entries(TRUTHS).map(([name, truth]) => [name, { ...truth, cpu: truth.cpu / 1.2 }]),
    );
    const hidden = { ...faster, sluice: TRUTHS["sluice"]! };
    const cpu = of(
      compareResults(runOf({ seed: 1, own: 0.01 }), runOf({ seed: 2, own: 0.01 }, hidden), SLUICE).figures,
      "cpu",
    );
    expect(cpu.map(({ verdict, why }) => [verdict, why])).toEqual(cpu.map(() => ["same", "hidden"]));
  });
});

describe("what can be compared", () => {
  const run = runOf({ seed: 1, own: 0.02 });
  const slow = runOf({ seed: 2, own: 0.02 }, sluiceWith({ cpu: 40 }));

  test("nothing is said of fewer than five rounds", () => {
    const { figures } = compareResults(runOf({ seed: 1 }, TRUTHS, 4), slow, SLUICE);
    expect(share(figures, "unknown")).toBe(1);
  });

  test("two contenders of one run, neither of them a peer of the other", () => {
    const { figures } = compareResults(run, run, [["haproxy", "sluice"]]);
    const cpu = of(figures, "cpu")[0]!;
    expect(cpu.contender).toBe("haproxy:sluice");
    expect(cpu.verdict).toBe("worse");
    expect(cpu.toPeers!.peers).toEqual(["nginx", "caddy"]);
  });

  test("every contender of both", () => {
    const { figures } = compareResults(run, slow, "all");
    const worse = figures.filter(({ verdict }) => verdict === "worse");
    expect(new Set(figures.map(({ contender }) => contender)).size).toBe(5);
    expect(new Set(worse.map(({ contender }) => contender))).toEqual(new Set(["sluice"]));
  });

  test("a latency is seen over direct and beside the peers, memory as it is", () => {
    const { figures } = compareResults(run, slow, SLUICE);
    expect(of(figures, "p50")[0]).toContainKeys(["overDirect", "toPeers"]);
    expect(of(figures, "cpu")[0]).not.toContainKey("overDirect");
    expect(of(figures, "idle")[0]).not.toContainAnyKeys(["overDirect", "toPeers"]);
  });

  test("who fails in the new run only got worse; what one run has is counted", () => {
    const failed = withFirst(run, ({ contenders, cases }) => ({
      contenders: contenders.map((one) => (one.name === "sluice" ? { ...one, failure: "502" } : one)),
      cases: cases.slice(1),
    }));
    const { failures, unmatched } = compareResults(run, failed, SLUICE);
    expect(failures).toEqual([{ scenario: "get-1-kb", contender: "sluice", failure: "502" }]);
    expect(unmatched).toBe(2);
    expect(compareResults(failed, failed, SLUICE).failures).toEqual([]);
  });
});

describe("runs that are hard to compare", () => {
  const run = runOf({ seed: 1, own: 0.02 });

  test("another machine, load or version is said; ports and folders of a run are none of it", () => {
    const moved = withFirst(
      {
        ...run,
        secondsEach: 5,
        machine: { ...run.machine, cores: 16 },
        versions: { ...run.versions, wrk: "5.0" },
      },
      ({ cases }) => ({
        cases: cases.map(({ name, runs }) => ({
          name,
          runs: Object.fromEntries(
            Object.entries(runs).map(([who, one]) => [
              who,
              { ...one, command: "wrk -c128 http://127.0.0.1:1234/a" },
            ]),
          ),
        })),
      }),
    );
    expect(compareResults(run, moved, SLUICE).warnings).toEqual([
      "machine's cores: 2, now 16",
      "seconds a round: 3, now 5",
      "version of wrk: 4.1.0, now 5.0",
      "get-1-kb: another load",
    ]);
    const elsewhere = JSON.parse(
      JSON.stringify(run)
        .replaceAll("127.0.0.1:40", "127.0.0.1:51")
        .replaceAll("nginx.conf", "/tmp/x/nginx.conf"),
    ) as Results;
    const back = JSON.parse(
      JSON.stringify(elsewhere).replaceAll("/tmp/x/nginx.conf", "/tmp/other/nginx.conf"),
    ) as Results;
    expect(compareResults(elsewhere, back, SLUICE).warnings).toEqual([]);
  });

  test("a peer of another version, or configured otherwise, is no measure", () => {
    const upgraded = withFirst(
      { ...run, versions: { ...run.versions, nginx: "1.30.0" } },
      ({ contenders }) => ({
        contenders: contenders.map((one) =>
          one.name === "caddy" ? { ...one, files: { "caddy.conf": "other" } } : one,
        ),
      }),
    );
    const { figures, warnings } = compareResults(run, upgraded, SLUICE);
    expect(warnings).toEqual([
      "version of nginx: 1.22.1, now 1.30.0",
      "get-1-kb: another configuration of caddy",
    ]);
    expect(of(figures, "cpu").map(({ scenario, toPeers }) => [scenario, toPeers!.peers])).toContainEqual([
      "get-1-kb",
      ["haproxy"],
    ]);
  });
});

function withFirst(run: Results, change: (first: ScenarioResult) => Partial<ScenarioResult>): Results {
  const [first, ...others] = run.scenarios;
  return { ...run, scenarios: [{ ...first!, ...change(first!) }, ...others] };
}
