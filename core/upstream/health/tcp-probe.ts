import type { Clock } from "sluice/plugin";
import type { TargetConfig } from "../../../config/types.ts";
import { healthy, type HealthVerdict, type Probe, unhealthy } from "./probe.ts";

/** Connects and closes at once: nothing is sent, and TLS is not begun. */
export function tcpProbe(target: TargetConfig): Probe {
  let answer: ((verdict: HealthVerdict) => void) | undefined;
  const end = (reason: string): void => answer?.(unhealthy(reason));

  return {
    ask() {
      const { promise, resolve } = Promise.withResolvers<HealthVerdict>();
      answer = resolve;
      // The kernel goes on trying behind an `expire`; what succeeds late is closed, too, and answers a settled promise.
      Promise.try(connect, target, () => resolve(healthy("connected"))).catch(() =>
        resolve(unhealthy("connect")),
      );
      return promise;
    },
    expire: () => end("timeout"),
    close: () => end("closed"),
  };
}

/** Whether a connection comes to stand within `ms`. Never rejects. */
export async function probeTcp(
  target: TargetConfig,
  ms: number,
  clock: Pick<Clock, "setTimeout">,
): Promise<boolean> {
  const probe = tcpProbe(target);
  const stop = clock.setTimeout(() => probe.expire(), ms);
  const verdict = await probe.ask();
  stop();
  return verdict.healthy;
}

function connect(target: TargetConfig, opened: () => void): Promise<unknown> {
  const socket = {
    open(connection: { end(): void }) {
      connection.end();
      opened();
    },
    data() {},
  };
  return target.socketPath === undefined
    ? Bun.connect({ hostname: target.address ?? target.host, port: target.port, socket })
    : Bun.connect({ unix: target.socketPath, socket });
}
