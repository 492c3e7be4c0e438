import { type Cell, type HistogramCell, MAX_CONFIGURED_CELLS, type MetricsRegistry } from "./metrics.ts";

/** Remembered targets; then it is begun anew. Addresses of names come and go. */
const REMEMBERED = 20_000;

export interface UpstreamMetrics {
  /** A try has an answer's head, or failed; see `Observer.tried`. */
  tried(upstream: string, target: string, status: number, reason: string | undefined, seconds: number): void;
  /** See `Observer.retried`. */
  retried(upstream: string, kind: "retry" | "hedge", outcome: "sent" | "no_budget"): void;
  /** An answer broke off behind its head. */
  brokeOff(upstream: string, reason: string): void;
}

interface TargetCells {
  readonly waits: HistogramCell;
  readonly byStatus: Map<number, Cell>;
}

/** Counts every try against an upstream. */
export function createUpstreamMetrics(metrics: MetricsRegistry): UpstreamMetrics {
  const requests = metrics.counterCells(
    "upstream_requests_total",
    "Tries by outcome: a status, `failed`, or `cancelled` for one that was given up on our side or the client's.",
    ["upstream", "target", "status"],
    MAX_CONFIGURED_CELLS,
  );
  const waits = metrics.histogramCells(
    "upstream_duration_seconds",
    "Waiting for the head of an upstream's answer, connecting included.",
    ["upstream"],
  );
  const failures = metrics.counterCells("upstream_failures_total", "Failed tries by class.", [
    "upstream",
    "reason",
  ]);
  const further = metrics.counterCells(
    "upstream_retries_total",
    "Further tries of a request: behind one that failed, or beside a slow one; and those that the budget forbade.",
    ["upstream", "kind", "outcome"],
  );
  const known = new Map<string, Map<string, TargetCells>>();
  let remembered = 0;

  function cellsOf(upstream: string, target: string): TargetCells {
    let targets = known.get(upstream);
    const cells = targets?.get(target);
    if (cells !== undefined) return cells;
    if (remembered++ >= REMEMBERED) {
      known.clear();
      remembered = 1;
      targets = undefined;
    }
    if (targets === undefined) known.set(upstream, (targets = new Map<string, TargetCells>()));
    const fresh = { waits: waits.cell(upstream), byStatus: new Map<number, Cell>() };
    targets.set(target, fresh);
    return fresh;
  }

  return {
    tried(upstream, target, status, reason, seconds) {
      if (reason !== undefined) failures.cell(upstream, reason).value++;
      // Nobody was asked: a circuit was open, a queue full, a name not found.
      if (target === "") return;
      const { byStatus, waits: wait } = cellsOf(upstream, target);
      const outcome = status === 0 && reason === undefined ? GIVEN_UP : status;
      let cell = byStatus.get(outcome);
      if (cell === undefined) {
        cell = requests.cell(upstream, target, wordFor(outcome));
        byStatus.set(outcome, cell);
      }
      cell.value++;
      wait.observe(seconds);
    },
    retried(upstream, kind, outcome) {
      further.cell(upstream, kind, outcome).value++;
    },
    brokeOff(upstream, reason) {
      failures.cell(upstream, reason).value++;
    },
  };
}

/** Stands for a status: the try was given up, and the upstream has not failed. */
const GIVEN_UP = -1;

function wordFor(outcome: number): string {
  if (outcome === GIVEN_UP) return "cancelled";
  return outcome === 0 ? "failed" : String(outcome);
}
