import type { Clock } from "sluice/plugin";
import type { PoolConfig, TargetConfig } from "../../config/types.ts";
import { Call } from "./call.ts";
import type { Pool } from "./pool.ts";
import type { TlsMaterial } from "./tls-material.ts";
import type { Transport } from "./transport.ts";

export interface TransportOptions {
  readonly target: TargetConfig;
  readonly pool: PoolConfig;
  /** Undefined speaks clear text. */
  readonly tls: TlsMaterial | undefined;
  readonly clock: Clock;
}

/** A transport over the connections of `pool`. */
export function pooledTransport(pool: Pool): Transport {
  return {
    request(request) {
      return new Promise((resolve, reject) => {
        const call = new Call(request, pool, resolve, reject);
        if (!call.over) pool.dispatch(call);
      });
    },
    get connections() {
      return pool.connections;
    },
    close: () => pool.close(),
  };
}
