import type { NameView } from "sluice/plugin";
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import type { TargetConfig, UpstreamConfig } from "../../config/types.ts";
import { isName, type ResolvedAddress, watchName } from "./dns/index.ts";
import { probeTcp, startHealthCheck } from "./health/index.ts";
import { createHttp1Transport } from "./http1-transport.ts";
import { createHttp2Transport } from "./http2-transport.ts";
import { Target, type TargetOwner } from "./target.ts";
import { TargetState } from "./target-state.ts";
import type { TlsMaterial } from "./tls-material.ts";
import type { Transport } from "./transport.ts";
import type { UpstreamDeps } from "./upstream-deps.ts";
import type { UpstreamState, WatchedName } from "./upstream-state.ts";

/** A target of the configuration whose name is looked up. */
interface Named {
  readonly config: TargetConfig;
  readonly key: string;
  readonly name: WatchedName;
}

/** Milliseconds that a probe may take where the configuration sets no limit. */
const PROBE_TIMEOUT = 5_000;

/** One connection, kept from check to check. */
const CHECK_POOL = { maxConnections: 1, idleTimeout: 3_600_000, maxAge: undefined, maxPending: 1 };

/**
 * The targets of one generation of an upstream: those of the configuration, each name of them taken apart into its
 * addresses. What a target has in common with other generations is found in the upstream's state.
 */
export class TargetSource {
  readonly #config: UpstreamConfig;
  readonly #material: TlsMaterial | undefined;
  readonly #state: UpstreamState;
  readonly #deps: UpstreamDeps;
  readonly #names: Named[] = [];
  #owner: TargetOwner | undefined;
  #retarget: () => void = () => {};
  /** By id, in the order of the configuration. */
  #targets = new Map<string, { readonly target: Target; readonly connection: string }>();

  constructor(
    config: UpstreamConfig,
    material: TlsMaterial | undefined,
    state: UpstreamState,
    deps: UpstreamDeps,
  ) {
    this.#config = config;
    this.#material = material;
    this.#state = state;
    this.#deps = deps;
  }

  get targets(): readonly Target[] {
    return [...this.#targets.values()].map(({ target }) => target);
  }

  /** Answers when a first look-up that is under way has ended. */
  get resolving(): Promise<void> | undefined {
    const pending = this.#names.filter(({ name }) => name.watch.addresses === undefined);
    return pending.length === 0 ? undefined : Promise.race(pending.map(({ name }) => name.watch.first));
  }

  /** The names that are looked up, and what came of it. */
  get names(): readonly NameView[] {
    return this.#names.map(({ config, name: { watch } }) => ({
      name: config.host,
      addresses: watch.addresses?.length,
      failure: watch.failure,
    }));
  }

  /** Why a name has no addresses. */
  get failure(): string | undefined {
    for (const { config, name } of this.#names) {
      const { addresses, failure } = name.watch;
      if (failure !== undefined) return `${config.host}: ${failure}`;
      if (addresses?.length === 0) return `${config.host} has no address`;
    }
    return undefined;
  }

  /** @param retarget is called when the targets have changed */
  open(owner: TargetOwner, retarget: () => void): void {
    this.#owner = owner;
    this.#retarget = () => {
      this.#fill();
      retarget();
    };
    for (const config of this.#config.targets) if (this.#isLookedUp(config)) this.#watch(config);
    this.#fill();
  }

  /** Makes the health checks that run those of this generation. */
  check(): void {
    const { health } = this.#config;
    const { checks } = this.#state;
    const settings = JSON.stringify(health);
    for (const id of [...checks.keys()]) if (!this.#targets.has(id)) this.#state.stopCheck(id);
    for (const [id, { target, connection }] of this.#targets) {
      const key = health === undefined ? "" : `${settings}${connection}`;
      if (checks.get(id)?.key === key) continue;
      this.#state.stopCheck(id);
      // What an earlier configuration's checks have found, nobody would ever find to be over.
      if (health === undefined) target.state.setHealth(true, "it is no longer checked");
      else checks.set(id, { key, check: this.#startCheck(target) });
    }
  }

  close(): void {
    for (const { key, name } of this.#names.splice(0)) {
      name.changed.delete(this.#retarget);
      this.#state.names.release(key);
    }
    for (const [id, { connection }] of this.#targets) this.#release(id, connection);
    this.#targets.clear();
  }

  #isLookedUp({ scheme, host, srv }: TargetConfig): boolean {
    if (scheme === "unix") return false;
    return (
      srv || (isName(host) && (this.#config.dns.addresses === "all" || this.#config.dns.servers.length > 0))
    );
  }

  #watch(config: TargetConfig): void {
    const { dns } = this.#config;
    const { clock, random, lookUp } = this.#deps;
    const key = JSON.stringify([config.srv, config.host, dns]);
    const state = this.#state;
    const name = state.names.acquire(
      key,
      () => {
        const changed = new Set<() => void>();
        let failing = false;
        const watch = watchName({
          ...{ name: config.host, srv: config.srv, config: dns, clock, random, lookUp },
          changed() {
            const { failure } = watch;
            if (failing !== (failure !== undefined)) {
              failing = failure !== undefined;
              state.report(failing ? "dns_failed" : "dns_recovered", config.host, failure ?? "");
            }
            for (const one of changed) one();
          },
        });
        return { watch, changed };
      },
      ({ watch }) => watch.close(),
    );
    name.changed.add(this.#retarget);
    this.#names.push({ config, key, name });
  }

  /** The targets as the configuration and the names have them now. */
  #fill(): void {
    const before = this.#targets;
    const after: typeof before = new Map();
    for (const config of this.#configs()) {
      const id = idOf(config);
      // Two names may have one address: it is one target.
      if (after.has(id)) continue;
      const known = before.get(id);
      after.set(id, known !== undefined && isSame(known.target.config, config) ? known : this.#make(config));
    }
    this.#targets = after;
    for (const [id, one] of before) if (after.get(id) !== one) this.#release(id, one.connection);
    if (this.#state.owner === this.#owner && this.#names.length > 0) this.#speak(before, after);
  }

  #speak(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): void {
    for (const id of after.keys()) if (!before.has(id)) this.#state.report("added", id, "dns");
    for (const id of before.keys()) if (!after.has(id)) this.#state.report("removed", id, "dns");
  }

  *#configs(): Generator<TargetConfig> {
    for (const config of this.#config.targets) {
      const named = this.#names.find((one) => one.config === config);
      if (named === undefined) {
        yield config;
        continue;
      }
      const addresses = named.name.watch.addresses ?? [];
      const all = config.srv || this.#config.dns.addresses === "all";
      for (const address of all ? addresses : addresses.slice(0, 1)) yield withAddress(config, address);
    }
  }

  #make(config: TargetConfig) {
    const id = idOf(config);
    const tls = config.scheme === "https" ? this.#material : undefined;
    const connection = connectionKey(this.#config, config, tls);
    const { clock } = this.#deps;
    const state = this.#state;
    const shared = state.targets.acquire(
      id,
      () => {
        const made = new TargetState({
          ...{ id, clock },
          report: (change, reason) => state.report(change, id, reason),
          probe: () => probeTcp(config, this.#config.timeouts.connect ?? PROBE_TIMEOUT, clock),
        });
        if (state.drained.has(id)) {
          made.drained = true;
          state.report("draining", id, "it was drained before it was gone");
        }
        // Who joins others takes up its share as one that comes back.
        if (state.owner !== undefined && state.targets.size > 0) made.backAt = clock.monotonic();
        return made;
      },
      (made) => made.close(),
    );
    const transport = state.connections.acquire(
      connection,
      () => this.#transport(config, tls, this.#config.pool),
      (made) => made.close(),
    );
    return { target: new Target(config, shared, transport, this.#owner!), connection };
  }

  #release(id: string, connection: string): void {
    this.#state.targets.release(id);
    this.#state.connections.release(connection);
  }

  #startCheck(target: Target) {
    const { config, state } = target;
    const { clock, random } = this.#deps;
    const tls = config.scheme === "https" ? this.#material : undefined;
    return startHealthCheck({
      ...{ target: config, config: this.#config.health!, clock, random, healthy: state.healthy },
      open: () => this.#transport(config, tls, CHECK_POOL),
      changed: ({ healthy, reason }) => state.setHealth(healthy, reason),
      checked: ({ healthy, reason }) => {
        if (healthy) state.checked();
        else if (!state.healthy) state.healthReason = reason;
      },
    });
  }

  #transport(target: TargetConfig, tls: TlsMaterial | undefined, pool: UpstreamConfig["pool"]): Transport {
    const create = this.#config.protocol === "http1" ? createHttp1Transport : createHttp2Transport;
    return create({ target, tls, clock: this.#deps.clock, pool });
  }
}

/** What a target is known by: its URL, with the address in the place of the name. */
function idOf({ url, scheme, address, port, basePath }: TargetConfig): string {
  if (address === undefined) return url;
  return `${scheme}://${isIPv6(address) ? `[${address}]` : address}:${port}${basePath}`;
}

function withAddress(config: TargetConfig, found: ResolvedAddress): TargetConfig {
  const { address, port = config.port, weight = 1, priority: recordPriority = 0 } = found;
  return { ...config, address, port, weight: config.weight * weight, recordPriority };
}

/** Whether the same is to be asked in the same way: an address may have passed from one name to another. */
function isSame(a: TargetConfig, b: TargetConfig): boolean {
  return (
    a.host === b.host &&
    a.weight === b.weight &&
    a.priority === b.priority &&
    a.recordPriority === b.recordPriority
  );
}

/** What a target's connections depend on. Weight and timeouts are no part of it: they may change under them. */
function connectionKey(config: UpstreamConfig, target: TargetConfig, tls: TlsMaterial | undefined): string {
  const { maxConnections, idleTimeout, maxAge = null, maxPending } = config.pool;
  return JSON.stringify([
    ...[target.scheme, target.host, target.address ?? null, target.port, target.socketPath ?? null],
    config.protocol === "http1" ? "http1" : "http2",
    [maxConnections, idleTimeout, maxAge, maxPending],
    tls === undefined
      ? null
      : [digest(tls.ca), digest(tls.cert), digest(tls.key), tls.serverName ?? null, tls.verify],
  ]);
}

function digest(pem: Buffer | undefined): string | null {
  return pem === undefined ? null : createHash("sha256").update(pem).digest("base64");
}
