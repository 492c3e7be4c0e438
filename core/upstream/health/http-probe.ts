import type { HealthConfig, TargetConfig } from "../../../config/types.ts";
import type { Transport, UpstreamAnswer } from "../transport.ts";
import { healthy, type HealthVerdict, type Probe, unhealthy } from "./probe.ts";
import { authorityOfTarget } from "../authority.ts";
import { beginningOf, probeHeaders, transportProbe } from "./transport-probe.ts";

/** Asks for a path: its status decides, and the text in its body where one is asked for. No redirect is followed. */
export function httpProbe(target: TargetConfig, config: HealthConfig, open: () => Transport): Probe {
  return transportProbe({
    head: {
      method: config.method,
      target: target.basePath + config.path,
      authority: config.host ?? authorityOfTarget(target),
      scheme: target.scheme === "https" ? "https" : "http",
      headers: probeHeaders(config),
    },
    body: () => null,
    timeout: config.timeout,
    open,
    judge: (answer) => judge(answer, config),
  });
}

async function judge({ status, body }: UpstreamAnswer, config: HealthConfig): Promise<HealthVerdict> {
  const reason = `status ${status}`;
  if (!config.statuses.some(([from, to]) => status >= from && status <= to)) {
    // Only for the connection's sake: nothing in it could say it better.
    await beginningOf(body).catch(() => undefined);
    return unhealthy(reason);
  }
  const beginning = await beginningOf(body);
  return config.body === undefined || beginning.includes(config.body) ? healthy(reason) : unhealthy("body");
}
