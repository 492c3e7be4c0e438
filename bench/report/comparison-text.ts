import { metricOf } from "../metric.ts";
import type { Comparison, Figure, Verdict } from "./comparison.ts";
import { counted, listed, moment, NONE, percent, signed, spreadParts } from "./format.ts";
import type { Results } from "./results.ts";
import { type Column, markdownTable, plainTable } from "./table.ts";

export interface Compared extends Comparison {
  readonly old: Results;
  readonly fresh: Results;
}

type TableOf = typeof plainTable;

/** For a terminal. */
export function plainComparison(of: Compared): string {
  return parts(of, plainTable).join("\n\n");
}

export function markdownComparison(of: Compared): string {
  return ["# What moved", ...parts(of, markdownTable)].join("\n\n");
}

/** Every figure, for programs; the runs by what tells them apart. */
export function jsonComparison({ old, fresh, ...comparison }: Compared): string {
  const run = ({ startedAt, commit, rounds, secondsEach }: Results): object => ({
    startedAt,
    commit,
    rounds,
    secondsEach,
  });
  return JSON.stringify({ format: 1, old: run(old), new: run(fresh), ...comparison }, null, 2);
}

/** Worst first: what failed, then how much it changed, for the worse and then for the better. */
export function movedOf({ figures }: Comparison): readonly Figure[] {
  const rank = ({ verdict }: Figure): number => (verdict === "worse" ? 0 : 1);
  return figures
    .filter(({ verdict }) => verdict === "worse" || verdict === "better")
    .toSorted((a, b) => rank(a) - rank(b) || size(b) - size(a));
}

/** Half and double are as far from what was. */
function size({ measured }: Figure): number {
  return Math.abs(Math.log(Math.max(1e-9, 1 + measured.change)));
}

export function somethingWorse({ figures, failures }: Comparison): boolean {
  return failures.length > 0 || figures.some(({ verdict }) => verdict === "worse");
}

function parts(of: Compared, table: TableOf): string[] {
  const { figures, failures, warnings } = of;
  const moved = movedOf(of);
  return [
    runs(of, table),
    ...(warnings.length === 0 ? [] : [list("These runs are hard to compare:", warnings)]),
    ...(failures.length === 0
      ? []
      : [
          list(
            "Worse, for they failed in the new run:",
            failures.map(({ scenario, contender, failure }) => `${contender} in ${scenario}: ${failure}`),
          ),
        ]),
    ...(moved.length === 0
      ? []
      : [
          table(
            columnsOf(figures),
            moved.map((one) => rowOf(one, figures)),
          ),
        ]),
    counts(of),
    ...aside(figures, "machine", "Moved as measured, but not beyond chance once corrected for the machine:"),
    ...aside(figures, "hidden", "Moved once corrected for the machine, but not as measured; measure again:"),
    ...correction(figures),
  ];
}

function runs({ old, fresh }: Compared, table: TableOf): string {
  const row = (name: string, { commit, startedAt, rounds, secondsEach }: Results): string[] => [
    name,
    commit,
    moment(startedAt),
    `${counted(rounds, "round")} of ${secondsEach} s`,
  ];
  const columns = ["run", "commit", "started", "measured"].map((title) => ({ title, text: true as const }));
  return table(columns, [row("old", old), row("new", fresh)]);
}

function columnsOf(figures: readonly Figure[]): Column[] {
  return [
    { title: "verdict", text: true },
    { title: "scenario", text: true },
    { title: "case", text: true },
    ...(severalContenders(figures) ? [{ title: "contender", text: true as const }] : []),
    { title: "figure", text: true },
    { title: "old" },
    { title: "new" },
    { title: "change" },
    { title: "over direct" },
    { title: "to peers" },
  ];
}

function rowOf(of: Figure, figures: readonly Figure[]): (string | readonly string[])[] {
  const { title, unit } = metricOf(of.metric);
  return [
    of.verdict,
    of.scenario,
    of.case,
    ...(severalContenders(figures) ? [of.contender] : []),
    `${title}, ${unit}`,
    spreadParts(of.measured.old),
    spreadParts(of.measured.new),
    percent(of.measured.change),
    of.overDirect === undefined ? NONE : `${signed(of.overDirect.difference)} ${unit}`,
    of.toPeers === undefined ? NONE : percent(of.toPeers.change),
  ];
}

function severalContenders(figures: readonly Figure[]): boolean {
  return new Set(figures.map(({ contender }) => contender)).size > 1;
}

function counts({ figures, failures, unmatched }: Compared): string {
  const of = (verdict: Verdict): number => figures.filter((one) => one.verdict === verdict).length;
  const unknown = of("unknown");
  return [
    `${of("worse") + failures.length} worse, ${of("better")} better, ${of("same")} the same.`,
    ...(unknown === 0 ? [] : [`Nothing can be said of ${unknown}: fewer than 5 rounds on a side.`]),
    ...(unmatched === 0 ? [] : [`${counted(unmatched, "figure")} in one of the runs only.`]),
  ].join(" ");
}

function aside(figures: readonly Figure[], why: Figure["why"], title: string): string[] {
  const lines = figures
    .filter((one) => one.why === why && one.verdict === "same")
    .map(({ scenario, case: case_, contender, metric, measured, overDirect, toPeers }) => {
      const corrected = [
        ...(overDirect === undefined ? [] : [`${signed(overDirect.difference)} ms over direct`]),
        ...(toPeers === undefined ? [] : [`${percent(toPeers.change)} to peers`]),
      ];
      return `${contender} in ${scenario}, ${case_}: ${metricOf(metric).title} ${percent(measured.change)}, ${listed(corrected)}`;
    });
  return lines.length === 0 ? [] : [list(title, lines)];
}

/** What it takes to have moved, and which corrections for the machine were at work. */
function correction(figures: readonly Figure[]): string[] {
  const peers = new Set(
    figures.flatMap(({ toPeers }) => (toPeers === undefined ? [] : [listed(toPeers.peers)])),
  );
  const direct = figures.some(({ overDirect }) => overDirect !== undefined);
  const plain = figures.some(({ overDirect, toPeers }) => overDirect === undefined && toPeers === undefined);
  return [
    list(
      "Moved is what is more than 5 % and more than the metric's floor away as measured, and with p < 0.01 (Mann-Whitney) more than 5 % away in the same direction",
      [
        ...(peers.size === 0
          ? []
          : [`as a multiple of the peers of the same round: ${[...peers].join("; or ")}`]),
        ...(direct ? ["for latencies also in what is added over direct in the same round"] : []),
        ...(plain ? ["for memory, and where there is no peer, as measured"] : []),
      ],
    ),
  ];
}

function list(title: string, lines: readonly string[]): string {
  return `${title}\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}
