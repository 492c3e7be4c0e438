export interface HealthVerdict {
  readonly healthy: boolean;
  /** What the check found: `status 503`, `body`, `SERVING`, `connected`, `connect`, `tls`, `reset`, `protocol`, `timeout` … */
  readonly reason: string;
}

/** How one kind of check asks its target. */
export interface Probe {
  /** Asks once; only when the last one was answered. Never rejects. */
  ask(): Promise<HealthVerdict>;
  /** What is asked now has taken too long: it is answered at once, and its connection is not used again. */
  expire(): void;
  /** Ends what is under way and lets go of the connection. */
  close(): void;
}

export const healthy = (reason: string): HealthVerdict => ({ healthy: true, reason });
export const unhealthy = (reason: string): HealthVerdict => ({ healthy: false, reason });
