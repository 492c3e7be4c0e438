import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ProcessTree } from "./harness/process-tree.ts";
import type { MetricName, Sample } from "./metric.ts";
import type { Configure } from "./peer.ts";

/** The server behind the contenders of a scenario. */
export interface Origin extends AsyncDisposable {
  readonly port: number;
  /** How it was started. */
  readonly command: readonly string[];
  /** Its configuration, where it has one. */
  readonly files?: { readonly [name: string]: string };
}

/** A contender that runs. */
export interface Target {
  readonly name: string;
  readonly port: number;
  /** Undefined where the origin itself is asked. */
  readonly processes: ProcessTree | undefined;
  /** Milliseconds from its start to its first right answer. */
  readonly startedIn: number;
}

export interface Measured {
  readonly sample: Sample;
  /** The load, as somebody could run it again. */
  readonly command: string;
}

export interface Case {
  /** "64 connections", "1,000 requests/s". */
  readonly name: string;
  /** Left out with `--quick`; so is a scenario that has no others. */
  readonly slow?: true;
  /** Puts load on the target for so many seconds. Throws where any answer was wrong. */
  measure(target: Target, seconds: number): Promise<Measured>;
}

/** Medians over the rounds; NaN where there is none. */
export interface Medians {
  of(case_: string, contender: string, metric: MetricName): number;
  /** Over what the origin itself needed in the same round. */
  added(case_: string, contender: string, metric: MetricName): number;
}

/** What Sluice is to reach. */
export interface Aim {
  readonly what: string;
  readonly unit: string;
  value(medians: Medians): number;
  readonly least?: number;
  readonly most?: number;
}

/** One kind of work: one file in `bench/scenarios` that exports it as `scenario`. */
export interface Scenario {
  /** Of the file, without its ending. */
  readonly name: string;
  readonly title: string;
  /** For the report: what is asked for, and what is worth knowing about it. */
  readonly about: string;
  /** Which peers take part: those that serve this. */
  readonly service: string;
  /** Contenders of the scenario's own, in place of the peers. */
  readonly contenders?: { readonly [name: string]: Configure };
  /** Peers that do not take part though they serve it. */
  readonly without?: readonly string[];
  /** Starts a fresh process for each round. */
  readonly fresh?: true;
  /** `bench/run` runs it only when it is asked for by name. */
  readonly onDemand?: true;
  startOrigin(dir: string): Promise<Origin>;
  /** Rejects where a contender's answer is not exactly the right one. Before the first round and after the last. */
  check(port: number, contender: string): Promise<unknown>;
  /** In place of the first case: what brings a target to where it is after minutes of work. */
  warmUp?(target: Target, seconds: number): Promise<unknown>;
  readonly cases: readonly Case[];
  readonly aims?: readonly Aim[];
}

/** Every scenario in `bench/scenarios`, by the names of the files. */
export function loadScenarios(): Promise<readonly Scenario[]> {
  const dir = join(import.meta.dirname, "scenarios");
  const files = readdirSync(dir).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  return Promise.all(
    files
      .toSorted()
      .map(async (file) => ((await import(join(dir, file))) as { readonly scenario: Scenario }).scenario),
  );
}
