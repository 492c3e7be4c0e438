/** Milliseconds. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly "p99.9": number;
  readonly max: number;
}

/** By nearest rank, of at least one sample. Sorts the samples. */
export function quantilesOf(samples: Float64Array): Quantiles {
  if (samples.length === 0) throw new Error("no sample");
  samples.sort();
  // A product such as 0.999 * 1000 is a little above the whole number that it stands for.
  const at = (quantile: number): number =>
    round(samples[Math.max(Math.ceil(quantile * samples.length - 1e-9) - 1, 0)]!);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), "p99.9": at(0.999), max: at(1) };
}

/** To a tenth of a microsecond. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1e4) / 1e4;
}
