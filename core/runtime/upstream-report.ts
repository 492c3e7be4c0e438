import type { TargetView, Upstreams, UpstreamView } from "sluice/plugin";
import type { MetricsRegistry } from "../services/metrics.ts";

/** An upstream as `GET /upstreams` has it. */
export function upstreamJson(view: UpstreamView): object {
  return {
    name: view.name,
    protocol: view.protocol,
    balance: view.balance,
    panic: view.panic,
    queued: view.queued,
    circuit: view.circuit ?? null,
    bulkhead: view.bulkhead ?? null,
    retries: view.retries ?? null,
    names: view.names.map(({ name, addresses, failure }) => ({
      ...{ name, addresses: addresses ?? null, failure: failure ?? null },
    })),
    targets: view.targets.map(targetJson),
  };
}

export function targetJson(target: TargetView): object {
  return {
    url: target.url,
    weight: target.weight,
    priority: target.priority,
    status: target.status,
    reason: target.reason,
    healthy: target.healthy,
    available: target.available,
    in_flight: target.inFlight,
    latency_ms: Math.round(target.latencyMs * 1000) / 1000,
    answers: target.answers,
    failures: target.failures,
    ejections: target.ejections,
    connections: target.connections,
  };
}

const CIRCUIT = { closed: 0, "half-open": 1, open: 2 } as const;

/** Gauges of what upstreams and targets are like when somebody scrapes. */
export function addUpstreamGauges(metrics: MetricsRegistry, views: () => Upstreams): void {
  const all = (): UpstreamView[] => {
    const upstreams = views();
    return upstreams.names.flatMap((name) => upstreams.get(name) ?? []);
  };
  const ofTargets = (name: string, help: string, value: (target: TargetView) => number): void =>
    metrics.sampled("gauge", name, help, () =>
      all().flatMap(({ name: upstream, targets }) =>
        targets.map((target) => ({ labels: { upstream, target: target.url }, value: value(target) })),
      ),
    );
  const ofUpstreams = (name: string, help: string, value: (view: UpstreamView) => number | undefined): void =>
    metrics.sampled("gauge", name, help, () =>
      all().flatMap((view) => {
        const now = value(view);
        return now === undefined ? [] : { labels: { upstream: view.name }, value: now };
      }),
    );

  ofTargets(
    "sluice_upstream_requests_in_flight",
    "Requests under way, by target.",
    ({ inFlight }) => inFlight,
  );
  ofTargets("sluice_upstream_target_available", "1 where a target may be asked.", ({ available }) =>
    Number(available),
  );
  ofTargets(
    "sluice_upstream_target_healthy",
    "1 where a target's health checks succeed, or there are none.",
    (target) => Number(target.healthy),
  );
  ofTargets(
    "sluice_upstream_target_latency_seconds",
    "Peak EWMA of the time to an answer's head.",
    ({ latencyMs }) => latencyMs / 1000,
  );
  ofTargets(
    "sluice_upstream_target_connections",
    "Open connections, by target.",
    ({ connections }) => connections.open,
  );
  ofUpstreams(
    "sluice_upstream_queued_requests",
    "Requests that wait for a target to have room.",
    ({ queued }) => queued,
  );
  ofUpstreams(
    "sluice_upstream_panic",
    "1 while all targets are asked because too few are fit.",
    ({ panic }) => Number(panic),
  );
  ofUpstreams("sluice_upstream_circuit_state", "0 closed, 1 half open, 2 open.", ({ circuit }) =>
    circuit === undefined ? undefined : CIRCUIT[circuit],
  );
}
