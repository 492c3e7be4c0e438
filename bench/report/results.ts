import type { Sample } from "../metric.ts";

/** What `bench/run` writes as `results.json`: every round of everything, and what it takes to do it again. */
export interface Results {
  readonly format: 1;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly tookSeconds: number;
  /** As it was typed. */
  readonly command: string;
  /** Of the tree that was measured; "-dirty" where it had changes. */
  readonly commit: string;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly warmUpSeconds: number;
  readonly machine: Machine;
  /** Of peers, load generators and origins, by their names. */
  readonly versions: { readonly [program: string]: string };
  readonly scenarios: readonly ScenarioResult[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly system: string;
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly origin: Started;
  /** In the order of the report. */
  readonly contenders: readonly ContenderResult[];
  readonly cases: readonly CaseResult[];
  readonly aims: readonly AimResult[];
}

export interface Started {
  /** Empty where nothing was started. */
  readonly command: readonly string[];
  readonly files: { readonly [name: string]: string };
}

export interface ContenderResult extends Started {
  readonly name: string;
  /** Why it was left out from then on: a wrong answer, a dead process. */
  readonly failure?: string;
}

export interface CaseResult {
  readonly name: string;
  /** By contender: the load's command, and one sample a round, all interleaved. */
  readonly runs: {
    readonly [contender: string]: { readonly command: string; readonly samples: readonly Sample[] };
  };
}

export interface AimResult {
  readonly what: string;
  readonly unit: string;
  /** Null where it could not be measured. */
  readonly value: number | null;
  readonly least?: number;
  readonly most?: number;
}
