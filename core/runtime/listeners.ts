import type { Clock, Log } from "sluice/plugin";
import type { ListenerConfig } from "../../config/types.ts";
import type { GatewayHandler } from "../listener/inbound.ts";
import { type Listener, type ListenerOptions, openListener } from "../listener/listener.ts";
import { loadTlsMaterial } from "../listener/tls-material.ts";
import { StartError } from "./start-error.ts";

export interface ListenerServices {
  readonly clock: Clock;
  readonly log: Log;
  /** Connections that all listeners together may take whatever their limits say: what the process may have open. */
  readonly maxConnections: number;
  /** What `trusted_proxies` says now. */
  trusts(address: string): boolean;
  /** The gateway as a listener sees it; `config` is read at each request. */
  handler(config: () => ListenerConfig): GatewayHandler;
  /** A connection that was refused before it said anything, and why. */
  refused(kind: string): void;
}

/** A change of listeners that is ready to happen: everything that could fail has been done. */
export interface PreparedListeners {
  commit(): void;
  abort(): void;
}

interface Open {
  config: ListenerConfig;
  readonly listener: Listener;
}

/** The gateway's listeners over its whole life: a reload keeps the socket of an address that stays. */
export class ListenerSet {
  readonly #services: ListenerServices;
  #open = new Map<string, Open>();
  /** Taken out by a reload; their last requests may be running. */
  readonly #leaving = new Set<Listener>();

  constructor(services: ListenerServices) {
    this.#services = services;
  }

  /** Addresses as they are listened on, ports resolved. */
  get addresses(): readonly string[] {
    return [...this.#open.values()].map((open) => open.listener.address);
  }

  get connections(): number {
    let sum = 0;
    for (const { listener } of this.#open.values()) sum += listener.connections;
    for (const listener of this.#leaving) sum += listener.connections;
    return sum;
  }

  /** @throws StartError naming the address or file that is of no use; nothing has changed then */
  async prepare(configs: readonly ListenerConfig[]): Promise<PreparedListeners> {
    const next = new Map<string, Open>();
    const updates: (() => void)[] = [];
    const fresh: Listener[] = [];
    const share = Math.max(1, Math.floor(this.#services.maxConnections / configs.length));
    try {
      for (const config of configs) {
        const key = keyOf(config, next);
        const known = this.#open.get(key);
        const open: { config: ListenerConfig } = known ?? { config };
        const options = await this.#options(config, () => open.config, share);
        if (known === undefined) {
          const listener = await openListener(options);
          fresh.push(listener);
          next.set(key, Object.assign(open, { listener }));
        } else {
          next.set(key, known);
          updates.push(() => {
            known.config = config;
            known.listener.update(options);
          });
        }
      }
    } catch (error) {
      for (const listener of fresh) listener.close();
      throw new StartError(error instanceof Error ? error.message : String(error), [], { cause: error });
    }
    return {
      commit: () => {
        for (const update of updates) update();
        for (const [key, { listener }] of this.#open) if (!next.has(key)) this.#leave(listener);
        this.#open = next;
      },
      abort: () => {
        for (const listener of fresh) listener.close();
      },
    };
  }

  drain(): void {
    for (const { listener } of this.#open.values()) listener.drain();
  }

  close(): void {
    for (const { listener } of this.#open.values()) listener.close();
    for (const listener of this.#leaving) listener.close();
  }

  #leave(listener: Listener): void {
    this.#leaving.add(listener);
    listener.drain();
    const stop = this.#services.clock.setInterval(() => {
      if (listener.connections > 0) return;
      stop();
      this.#leaving.delete(listener);
      listener.close();
    }, 1_000);
  }

  /** @param share of the connections that the process may have open. */
  async #options(
    config: ListenerConfig,
    current: () => ListenerConfig,
    share: number,
  ): Promise<ListenerOptions> {
    const { clock, log, trusts, refused } = this.#services;
    const connections = Math.min(config.limits.connections, share);
    return {
      address: config.address,
      protocols: config.protocols,
      tls: config.tls === undefined ? undefined : await loadTlsMaterial(config.tls),
      proxyProtocol: config.proxyProtocol,
      trusts,
      limits: { ...config.limits, connections },
      handler: this.#services.handler(current),
      clock,
      log,
      onEvent: refused,
    };
  }
}

/** What makes a listener the same one after a reload: its address, and among equal ones (port 0) its turn in the file. */
function keyOf({ address }: ListenerConfig, taken: ReadonlyMap<string, unknown>): string {
  const text = JSON.stringify(address);
  let key = text;
  for (let turn = 2; taken.has(key); turn += 1) key = `${text}#${turn}`;
  return key;
}
