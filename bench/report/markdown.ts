import { metricOf, type MetricName } from "../metric.ts";
import { DIRECT, metricsOf, referenceOf, SLUICE } from "./contenders.ts";
import {
  counted,
  duration,
  figure,
  listed,
  moment,
  NONE,
  ratio,
  shell,
  spreadParts,
  withUnit,
} from "./format.ts";
import type { AimResult, CaseResult, Machine, Results, ScenarioResult, Started } from "./results.ts";
import { addedOver, byRound, median, present, spreadOf } from "./stats.ts";
import { type Cell, type Column, markdownTable } from "./table.ts";

/** Where `writeReport` puts the picture, beside the report. */
export const CHART = "chart.svg";

/** A report that somebody can read, and measure again, who knows nothing of the run. */
export function reportOf(results: Results): string {
  const parts = [
    head(results),
    ...aimsPart(results.scenarios.flatMap(({ aims }) => aims)),
    `![Throughput, CPU a request and added latency, by contender](${CHART})`,
    ...results.scenarios.map((scenario) => scenarioPart(scenario, referenceOf(scenario, results.versions))),
    "## To do it again",
    `\`${results.command}\` measures all of this. What it started and what load it put on that, exactly as it did, in a directory of its own, \`$DIR\`:`,
    ...results.scenarios.map(commands),
  ];
  return `${parts.join("\n\n")}\n`;
}

function head(results: Results): string {
  const names = new Set(results.scenarios.flatMap(({ contenders }) => contenders.map(({ name }) => name)));
  const others = [...names].filter((name) => name !== SLUICE && results.versions[name] !== undefined);
  const { rounds, secondsEach, warmUpSeconds } = results;
  // One sentence a line, for those who read the source.
  const about = [
    `${counted(rounds, "round")} of ${counted(secondsEach, "second")} each after ${counted(warmUpSeconds, "second")} of warm-up; in a round, each contender has its turn.`,
    "Every figure is the median of the rounds, with (lowest–highest).",
    `\`${DIRECT}\` is the origin itself, with nothing between.`,
    "Answers were checked: a contender that gave a wrong one is out from then on, and the scenario says so.",
    "Load, contenders and origin share one machine: believe the ratios rather than the absolute figures.",
  ].join("\n");
  const versions = Object.entries(results.versions).map(([name, version]) => `${name} ${version}`);
  const rows = [
    ["measured", moment(results.startedAt)],
    ["took", duration(results.tookSeconds)],
    ["commit", `\`${results.commit}\``],
    ["command", `\`${results.command}\``],
    ["machine", machine(results.machine)],
    ["system", `${results.machine.system}, ${results.machine.kernel}`],
    ["versions", versions.join(", ")],
  ];
  return [
    others.length === 0 ? "# Sluice" : `# Sluice beside ${listed(others)}`,
    about,
    markdownTable(
      [
        { title: "what", text: true },
        { title: "of this run", text: true },
      ],
      rows,
    ),
  ].join("\n\n");
}

function machine({ cpu, cores, memoryGiB }: Machine): string {
  return `${cpu}, ${counted(cores, "core")}, ${memoryGiB} GiB`;
}

function aimsPart(all: readonly AimResult[]): string[] {
  if (all.length === 0) return [];
  const counts = (["met", "**NOT met**", "not measured"] as const).flatMap((verdict) => {
    const count = all.filter((aim) => verdictOf(aim) === verdict).length;
    return count === 0 ? [] : [`${count} ${verdict}`];
  });
  const rows = all.map((aim) => [
    aim.what,
    bounds(aim),
    aim.value === null ? NONE : withUnit(figure(aim.value), aim.unit),
    verdictOf(aim),
  ]);
  const columns: Column[] = [
    { title: "what", text: true },
    { title: "aim" },
    { title: "reached" },
    { title: "", text: true },
  ];
  return [`## Aims`, `Of ${counted(all.length, "aim")}: ${counts.join(", ")}.`, markdownTable(columns, rows)];
}

function bounds({ least, most, unit }: AimResult): string {
  const parts = [
    ...(least === undefined ? [] : [`≥ ${withUnit(String(least), unit)}`]),
    ...(most === undefined ? [] : [`≤ ${withUnit(String(most), unit)}`]),
  ];
  return parts.join(", ");
}

function verdictOf({ value, least, most }: AimResult): "met" | "**NOT met**" | "not measured" {
  if (value === null) return "not measured";
  return value >= (least ?? -Infinity) && value <= (most ?? Infinity) ? "met" : "**NOT met**";
}

function scenarioPart(scenario: ScenarioResult, reference: string | undefined): string {
  const failures = scenario.contenders.flatMap(({ name, failure }) =>
    failure === undefined ? [] : [`- **${name} failed** and took no further part: ${oneLine(failure)}`],
  );
  const numbers = numbered(scenario.cases);
  const tables =
    numbers === undefined
      ? scenario.cases.flatMap((one) => [
          `**${one.name}**`,
          ...figures(scenario, reference, { cases: [{ ...one, label: "" }] }),
        ])
      : figures(scenario, reference, numbers);
  const measured = metricsOf(scenario.cases).length > 0;
  return [
    `## ${scenario.title}`,
    scenario.about,
    ...(failures.length > 0 ? [failures.join("\n")] : []),
    ...(measured ? tables : ["Nothing was measured."]),
  ].join("\n\n");
}

/** Cases that stand in one table, each by its label below a title. */
interface Rows {
  readonly title?: string;
  readonly cases: readonly (CaseResult & { readonly label: string })[];
}

/** Cases that are numbers of one thing, "1 connection", "64 connections", belong side by side. */
function numbered(cases: readonly CaseResult[]): Rows | undefined {
  const parsed = cases.map((one) => ({ one, parts: /^([\d.,]+) (\D.*)$/.exec(one.name) }));
  const titles = new Set(parsed.map(({ parts }) => parts?.[2]?.replace(/s$/, "")));
  if (cases.length < 2 || titles.size > 1 || titles.has(undefined)) return undefined;
  return {
    title: parsed.at(-1)?.parts?.[2] ?? "",
    cases: parsed
      .map(({ one, parts }) => ({ ...one, label: parts?.[1] ?? "" }))
      .toSorted((a, b) => number(a.label) - number(b.label)),
  };
}

function number(label: string): number {
  return Number(label.replaceAll(",", ""));
}

function figures(scenario: ScenarioResult, reference: string | undefined, rows: Rows): string[] {
  const metrics = metricsOf(rows.cases);
  const over = metrics.filter((metric) => metricOf(metric).overDirect);
  const absolute = table(
    scenario,
    rows,
    metrics.flatMap((metric) => columnsOf(metric, scenario, reference)),
  );
  if (over.length === 0 || rows.cases.every(({ runs }) => runs[DIRECT] === undefined)) return [absolute];
  const added = over.map((metric): Figures => {
    const { title, unit } = metricOf(metric);
    return {
      title: `${title}, ${unit}`,
      cell: (case_, contender) => spreadCell(addedOver(scenario.cases, case_, contender, metric)),
    };
  });
  const without = scenario.contenders.map(({ name }) => name).filter((name) => name !== DIRECT);
  return [absolute, `Over ${DIRECT}, round by round:`, table(scenario, rows, added, without)];
}

interface Figures {
  readonly title: string;
  cell(case_: string, contender: string): Cell;
}

function columnsOf(metric: MetricName, { cases }: ScenarioResult, reference: string | undefined): Figures[] {
  const { title, unit } = metricOf(metric);
  const of = (case_: string, contender: string): number[] =>
    present(byRound(cases, case_, contender, metric));
  const own: Figures = {
    title: `${title}, ${unit}`,
    cell: (case_, contender) => spreadCell(of(case_, contender)),
  };
  const toReference: Figures = {
    title: `× ${reference}`,
    cell: (case_, contender) => ratio(median(of(case_, contender)) / median(of(case_, reference ?? ""))),
  };
  return reference !== undefined && (metric === "throughput" || unit === "µs") ? [own, toReference] : [own];
}

function spreadCell(values: readonly number[]): Cell {
  return values.length === 0 ? NONE : spreadParts(spreadOf(values));
}

function table(
  scenario: ScenarioResult,
  { title, cases }: Rows,
  columns: readonly Figures[],
  names: readonly string[] = scenario.contenders.map(({ name }) => name),
): string {
  const failed = new Set(
    scenario.contenders.flatMap(({ name, failure }) => (failure === undefined ? [] : [name])),
  );
  const rows = cases.flatMap(({ name: case_, label, runs }) =>
    names
      .filter((name) => (runs[name]?.samples.length ?? 0) > 0)
      .map((name, i) => [
        ...(title === undefined ? [] : [i === 0 ? label : ""]),
        (name === SLUICE ? `**${name}**` : name) + (failed.has(name) ? " (failed)" : ""),
        ...columns.map((column) => column.cell(case_, name)),
      ]),
  );
  return markdownTable(
    [
      ...(title === undefined ? [] : [{ title }]),
      { title: "contender", text: true as const },
      ...columns.map((column) => ({ title: column.title })),
    ],
    rows,
  );
}

function commands(scenario: ScenarioResult): string {
  const load = scenario.cases.flatMap(({ name, runs }) =>
    Object.entries(runs).map(([contender, { command }]) => `# ${name}, ${contender}\n${command}`),
  );
  return [
    `<details>\n<summary>${scenario.title}</summary>`,
    ...(load.length > 0 ? ["Load:", fenced("sh", load.join("\n"))] : []),
    ...started("Origin", scenario.origin),
    ...scenario.contenders.flatMap((one) => started(one.name, one)),
    "</details>",
  ].join("\n\n");
}

function started(name: string, { command, files }: Started): string[] {
  if (command.length === 0) return [];
  return [
    `**${name}**`,
    fenced("sh", shell(command)),
    ...Object.entries(files).flatMap(([file, text]) => [`\`${file}\`:`, fenced("", text.trimEnd())]),
  ];
}

function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...(text.match(/`{3,}/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, " ");
}
