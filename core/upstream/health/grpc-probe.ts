import { BytesBody, type HeaderList } from "sluice/plugin";
import type { HealthConfig, TargetConfig } from "../../../config/types.ts";
import { formatGrpcTimeout } from "../../forward/grpc-timeout.ts";
import { GRPC_CODES } from "../../../config/upstream/grpc-codes.ts";
import { malformed } from "../failures.ts";
import type { Transport, UpstreamAnswer } from "../transport.ts";
import { healthCheckRequest, servingStatus } from "./grpc-messages.ts";
import { healthy, type HealthVerdict, type Probe, unhealthy } from "./probe.ts";
import { authorityOfTarget } from "../authority.ts";
import { beginningOf, probeHeaders, transportProbe } from "./transport-probe.ts";

const OK = GRPC_CODES.indexOf("ok");
const UNIMPLEMENTED = GRPC_CODES.indexOf("unimplemented");

/** `HealthCheckResponse.ServingStatus` (grpc/doc/health-checking.md). */
const SERVING_STATUSES = ["serving status UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING = 1;

/**
 * Calls `grpc.health.v1.Health/Check`. Healthy are SERVING and UNIMPLEMENTED: a server that lives and does not know the
 * service; every other code and status is unhealthy.
 */
export function grpcProbe(target: TargetConfig, config: HealthConfig, open: () => Transport): Probe {
  const message = healthCheckRequest(config.service);
  return transportProbe({
    head: {
      method: "POST",
      target: `${target.basePath}/grpc.health.v1.Health/Check`,
      authority: config.host ?? authorityOfTarget(target),
      scheme: target.scheme === "https" ? "https" : "http",
      headers: probeHeaders(config, [
        ["te", "trailers"],
        ["content-type", "application/grpc"],
        ["grpc-timeout", formatGrpcTimeout(config.timeout)],
      ]),
    },
    body: () => new BytesBody(message),
    timeout: config.timeout,
    open,
    judge,
  });
}

async function judge({ status, headers, body }: UpstreamAnswer): Promise<HealthVerdict> {
  if (status !== 200) {
    await beginningOf(body).catch(() => undefined);
    return unhealthy(`status ${status}`);
  }
  const bytes = await beginningOf(body);
  // Trailers-Only: the status stands in the head, and there is no body.
  const code = grpcStatusOf(body === null ? headers : body.trailers);
  if (code === UNIMPLEMENTED) return healthy("UNIMPLEMENTED");
  if (code !== OK) return unhealthy(nameOf(code));
  const serving = servingStatus(bytes);
  if (serving === undefined) throw malformed("the message is no HealthCheckResponse");
  const reason = SERVING_STATUSES[serving] ?? `serving status ${serving}`;
  return serving === SERVING ? healthy(reason) : unhealthy(reason);
}

function grpcStatusOf(fields: HeaderList | undefined): number {
  const value = fields?.get("grpc-status");
  if (value === undefined || !/^\d{1,9}$/.test(value)) throw malformed("the answer has no gRPC status");
  return Number(value);
}

function nameOf(code: number): string {
  return GRPC_CODES[code]?.replaceAll("-", "_").toUpperCase() ?? `grpc status ${code}`;
}
