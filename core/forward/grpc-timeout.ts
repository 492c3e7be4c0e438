/** Milliseconds a unit (PROTOCOL-HTTP2, "TimeoutUnit"). */
const UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

const MAX_VALUE = 99_999_999;

/** A `grpc-timeout` in milliseconds, or undefined where it is malformed: 1 to 8 digits and a unit. */
export function parseGrpcTimeout(value: string): number | undefined {
  if (!/^\d{1,8}[HMSmun]$/.test(value)) return undefined;
  return Number(value.slice(0, -1)) * UNITS[value.at(-1)!]!;
}

/** A `grpc-timeout` of at most `milliseconds`, in the finest unit that holds it; at least one microsecond. */
export function formatGrpcTimeout(milliseconds: number): string {
  const microseconds = Math.max(1, Math.floor(milliseconds * 1_000));
  if (microseconds <= MAX_VALUE) return `${microseconds}u`;
  for (const unit of ["m", "S", "M"] as const) {
    const value = Math.floor(milliseconds / UNITS[unit]!);
    if (value <= MAX_VALUE) return `${value}${unit}`;
  }
  return `${Math.min(MAX_VALUE, Math.floor(milliseconds / UNITS["H"]!))}H`;
}
