import { formatAddress } from "./address.ts";
import { formatDuration } from "./durations.ts";
import { isPlain } from "./freeze.ts";
import type { Path } from "./node.ts";
import { secretTexts } from "./secret-values.ts";
import { isSecretPath, MASK, maskUserInfo } from "./secrets.ts";
import { formatSize } from "./sizes.ts";
import type {
  ConditionConfig,
  Config,
  Limits,
  ListenerConfig,
  MatchConfig,
  RouteConfig,
  StepConfig,
} from "./types.ts";
import { plainUpstream } from "./upstream/upstream.ts";

type Plain = Record<string, unknown>;

/**
 * The configuration in force as plain data in the words of the YAML, defaults filled in and pipelines spliced,
 * with every secret as `"***"`: what stands under a secret's key, what came from `${file:…}`, and the user
 * information of URLs.
 */
export function maskedConfig(config: Config): object {
  const plain: Plain = {
    version: 1,
    listeners: config.listeners.map(listener),
    trusted_proxies: config.trustedProxies,
    admin:
      config.admin === undefined
        ? undefined
        : {
            address: formatAddress(config.admin.address),
            token: config.admin.token,
            allow: config.admin.allow,
          },
    log: config.log,
    shutdown_timeout: formatDuration(config.shutdownTimeout),
    plugins: Object.fromEntries(config.plugins.map(({ name, source }) => [name, source])),
    upstreams: Object.fromEntries(config.upstreams.map((one) => [one.name, plainUpstream(one)])),
    routes: config.routes.map(route),
  };
  return new Masker(secretTexts(config)).mask(plain) as object;
}

/** The routes in the order in which they are tried, in words like the YAML's, with every secret as `"***"`. */
export function maskedRoutes(config: Config): readonly object[] {
  const routes = config.routes.map((one) => {
    const { name, match, rewrite, steps, action } = one;
    return {
      ...{ name, match: matchOf(match), rewrite },
      steps: steps.map(({ key, plugin, when, onError, timeout }) => ({
        ...{ step: key, plugin, on_error: onError, timeout_ms: timeout },
        when: when === undefined ? undefined : conditionOf(when),
      })),
      action: { kind: action.kind, ...actionOf(action) },
    };
  });
  return new Masker(secretTexts(config)).mask(routes) as object[];
}

function listener({ address, protocols, tls, proxyProtocol, probes, limits }: ListenerConfig): Plain {
  return {
    address: formatAddress(address),
    protocols,
    tls:
      tls === undefined
        ? undefined
        : { cert: tls.cert, key: tls.key, client_ca: tls.clientCa, min_version: tls.minVersion },
    proxy_protocol: proxyProtocol,
    probes,
    limits: limitsOf(limits),
  };
}

function limitsOf(limits: Limits): Plain {
  return {
    header_bytes: formatSize(limits.headerBytes),
    header_count: limits.headerCount,
    body: formatSize(limits.body),
    buffered_body: formatSize(limits.bufferedBody),
    url: formatSize(limits.url),
    streams: limits.streams,
    resets: limits.resets,
    header_timeout: formatDuration(limits.headerTimeout),
    body_timeout: formatDuration(limits.bodyTimeout),
    idle_timeout: formatDuration(limits.idleTimeout),
    tunnel_timeout: formatDuration(limits.tunnelTimeout),
    connections: limits.connections,
    connections_per_address: limits.connectionsPerAddress,
  };
}

function actionOf(action: RouteConfig["action"]): Plain {
  if (action.kind === "upstream") return { upstream: action.upstream };
  if (action.kind === "redirect") return { redirect: { to: action.location, status: action.status } };
  const { status, headers, body } = action;
  return { respond: { status, headers: Object.fromEntries(headers), body } };
}

function route({ name, match, rewrite, steps, action }: RouteConfig): Plain {
  return {
    // A name that the gateway gave is none that an operator may write.
    name: name.startsWith("routes[") ? undefined : name,
    match: matchOf(match),
    rewrite:
      rewrite === undefined ? undefined : { strip_prefix: rewrite.stripPrefix, replace: rewrite.replace },
    pipeline: steps.map(step),
    ...actionOf(action),
  };
}

function step({ id, plugin, options, when, onError, timeout }: StepConfig): Plain {
  return {
    id,
    [plugin]: options,
    when: when === undefined ? undefined : conditionOf(when),
    on_error: onError,
    timeout: formatDuration(timeout),
  };
}

function matchOf({ hosts, path, methods, headers, query }: MatchConfig): Plain {
  const list = (values: readonly string[]): readonly string[] | undefined =>
    values.length === 0 ? undefined : values;
  const map = (pairs: MatchConfig["headers"]): Plain | undefined =>
    pairs.length === 0 ? undefined : Object.fromEntries(pairs);
  return { host: list(hosts), path, method: list(methods), header: map(headers), query: map(query) };
}

function conditionOf({ consumers, tenants, protocols, not, ...match }: ConditionConfig): Plain {
  return {
    ...matchOf(match),
    consumer: consumers.length === 0 ? undefined : consumers,
    tenant: tenants.length === 0 ? undefined : tenants,
    protocol: protocols.length === 0 ? undefined : protocols,
    not: not === undefined ? undefined : conditionOf(not),
  };
}

const MAX_DEPTH = 32;

/** Copies plain data with its secrets masked. */
class Masker {
  readonly #secrets: readonly string[];
  /** Found anywhere in a text; shorter ones only as the whole, for they would be found in any word. */
  readonly #findable: readonly string[];

  constructor(secrets: ReadonlySet<string>) {
    this.#secrets = [...secrets];
    this.#findable = this.#secrets.filter((secret) => secret.length > 3);
  }

  mask(value: unknown, path: Path = []): unknown {
    const secret = isSecretPath(path);
    if (typeof value === "string") return secret || this.#holdsSecret(value) ? MASK : maskUserInfo(value);
    if (typeof value === "number" || typeof value === "bigint") return secret ? MASK : Number(value);
    if (value === null || typeof value === "boolean") return value;
    if (typeof value !== "object") return undefined;
    if (path.length > MAX_DEPTH) return "…";
    if (Array.isArray(value)) return value.map((item, index) => this.mask(item, [...path, index]) ?? null);
    if (value instanceof Set)
      return [...value].map((item, index) => this.mask(item, [...path, index]) ?? null);
    if (value instanceof Date) return value.toISOString();
    // What a plugin's schema made of its options may be anything; its inside is its own.
    if (!(value instanceof Map) && !isPlain(value))
      return this.mask(value instanceof RegExp ? value.source : `(${nameOf(value)})`, path);
    const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
    const copy: Plain = {};
    for (const [name, below] of entries) {
      const key = String(name);
      const masked = this.mask(below, [...path, key]);
      if (masked !== undefined) copy[key] = masked;
    }
    return copy;
  }

  #holdsSecret(text: string): boolean {
    return this.#secrets.includes(text) || this.#findable.some((secret) => text.includes(secret));
  }
}

/** What a plugin made keeps its inside to itself; only its class is told. */
function nameOf(value: object): string {
  const made: unknown = value.constructor;
  return typeof made === "function" && made.name !== "" ? made.name : "object";
}
