import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testCertificates } from "../listener/test-certificates.ts";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { type Binary, type LogLine, startBinary } from "./binary.ts";
import { inParallel } from "./in-parallel.ts";
import { PolicyClient, type Said } from "./policy-client.ts";
import type { Orders, Situation, Speech } from "./policy-orders.ts";
import { TargetProcess } from "./policy-targets.ts";

/** A way of speaking to upstreams. */
export interface Kind {
  readonly speech: Speech;
  /** For tables. */
  readonly title: string;
  readonly protocol: "http1" | "http2" | "grpc";
  readonly scheme: "http" | "https";
  /** The method of its calls where nothing else is said: POST in gRPC. */
  readonly method: Method;
}

type Method = "GET" | "POST";

/** Every kind of upstream there is. */
export const KINDS: readonly Kind[] = [
  { speech: "http1", title: "HTTP/1.1", protocol: "http1", scheme: "http", method: "GET" },
  { speech: "https1", title: "HTTP/1.1, TLS", protocol: "http1", scheme: "https", method: "GET" },
  { speech: "http2", title: "HTTP/2", protocol: "http2", scheme: "http", method: "GET" },
  { speech: "https2", title: "HTTP/2, TLS", protocol: "http2", scheme: "https", method: "GET" },
  { speech: "grpc", title: "gRPC", protocol: "grpc", scheme: "http", method: "POST" },
];

/** A request that a target has seen. */
export interface Seen {
  /** The process: `a`, `b` … */
  readonly target: string;
  readonly method: string;
  readonly id: string;
}

/** What is read of `GET /upstreams`. */
export interface UpstreamJson {
  readonly name: string;
  readonly circuit: string | null;
  readonly panic: boolean;
  readonly queued: number;
  readonly bulkhead: { readonly active: number; readonly waiting: number } | null;
  readonly targets: readonly { readonly url: string; readonly status: string; readonly in_flight: number }[];
}

export interface WorldOptions {
  /** By name, the keys of each kind's upstream beside protocol, targets and tls, as YAML in one line. */
  readonly upstreams: (kind: Kind) => Readonly<Record<string, string>>;
  /** A process for each. @default two: a and b */
  readonly targets?: readonly string[];
  /** By the target's name. @default 1 each */
  readonly weights?: Readonly<Record<string, number>>;
}

export const ADMIN_TOKEN = "policy-token";

/** A gateway in front of targets that do as they are told, and a client. */
export class PolicyWorld implements AsyncDisposable {
  readonly gateway: Binary;
  readonly client: PolicyClient;
  readonly targets: ReadonlyMap<string, TargetProcess>;
  readonly #journal: string;
  readonly #open: AsyncDisposableStack;

  private constructor(
    gateway: Binary,
    targets: ReadonlyMap<string, TargetProcess>,
    journal: string,
    open: AsyncDisposableStack,
  ) {
    this.gateway = gateway;
    this.client = open.use(new PolicyClient(gateway.listener()));
    this.targets = targets;
    this.#journal = journal;
    this.#open = open;
  }

  static async start({ upstreams, targets = ["a", "b"], weights = {} }: WorldOptions): Promise<PolicyWorld> {
    await using open = new AsyncDisposableStack();
    const certificates = open.use(testCertificates());
    const tls = certificates.issue("upstream", "/CN=upstream", "DNS:localhost,IP:127.0.0.1");
    const journal = open.use(temporaryDir({ journal: "" }));
    const file = `${journal.path}/journal`;
    const speeches = KINDS.map(({ speech }) => speech);
    const started = await Promise.all(targets.map((name) => TargetProcess.start(name, speeches, file, tls)));
    for (const one of started) open.use(one);
    const gateway = open.use(
      await startBinary(configOf(started, upstreams, weights), {
        "ca.pem": readFileSync(certificates.ca) + "",
      }),
    );
    return new PolicyWorld(gateway, new Map(started.map((one) => [one.name, one])), file, open.move());
  }

  /** A call to the upstream `name` of a kind. */
  call({ speech }: Kind, name: string, id: string, method?: Method, signal?: AbortSignal): Promise<Said> {
    return this.client.call(speech, `${speech}-${name}`, id, method, signal);
  }

  /** Calls with ids `PREFIX-N`, so many at once. */
  async calls(
    kind: Kind,
    name: string,
    prefix: string,
    count: number,
    atOnce: number,
    method?: Method,
  ): Promise<Said[]> {
    const ids = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
    return [...(await inParallel(ids, atOnce, (id) => this.call(kind, name, id, method))).values()];
  }

  order({ speech }: Kind, target: string, orders: Orders = {}, untilHeld?: number): Promise<Situation> {
    return this.targets.get(target)!.order(speech, orders, untilHeld);
  }

  /** The same orders for every target of a kind. */
  async orderAll(kind: Kind, orders: Orders): Promise<void> {
    await Promise.all([...this.targets.keys()].map((name) => this.order(kind, name, orders)));
  }

  /** The requests of these ids that targets have seen, in order, whether those still live or not. */
  seen(kind: Kind, prefix: string): readonly Seen[] {
    const seen: Seen[] = [];
    for (const line of readFileSync(this.#journal, "utf8").split("\n")) {
      const [from = "", method = "", id = ""] = line.split(" ");
      const [target = "", speech] = from.split("/");
      if (speech === kind.speech && id.startsWith(`${prefix}-`)) seen.push({ target, method, id });
    }
    return seen;
  }

  /** How many of them each target has seen. */
  counts(kind: Kind, prefix: string): Record<string, number> {
    const counts = Object.fromEntries([...this.targets.keys()].map((name) => [name, 0]));
    for (const { target } of this.seen(kind, prefix)) counts[target]!++;
    return counts;
  }

  url({ speech, scheme }: Kind, target: string): string {
    return `${scheme}://127.0.0.1:${this.targets.get(target)!.ports.get(speech)}`;
  }

  /** The log's line of a change of an upstream, past or to come. @param from index of the first line looked at */
  event({ speech }: Kind, name: string, event: string, from = 0): Promise<LogLine> {
    return this.gateway.line(
      (line) => line["event"] === event && line["upstream"] === `${speech}-${name}`,
      from,
    );
  }

  /** All such changes from a line on, by name. */
  events({ speech }: Kind, name: string, from = 0): string[] {
    return this.gateway.lines
      .slice(from)
      .filter((line) => line["upstream"] === `${speech}-${name}` && line["event"] !== undefined)
      .map((line) => String(line["event"]));
  }

  admin(path: string, method = "GET"): Promise<Response> {
    return fetch(this.gateway.admin + path, { method, headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  }

  async upstream({ speech }: Kind, name: string): Promise<UpstreamJson> {
    const { upstreams } = (await (await this.admin("/upstreams")).json()) as { upstreams: UpstreamJson[] };
    return upstreams.find((one) => one.name === `${speech}-${name}`)!;
  }

  /** Loads a changed configuration: with a route more. */
  async reload(): Promise<void> {
    const from = this.gateway.lines.length;
    const text = readFileSync(join(this.gateway.dir, "sluice.yaml"), "utf8");
    this.gateway.write("sluice.yaml", `${text}  - { match: { path: /more }, respond: { status: 204 } }\n`);
    this.gateway.signal("SIGHUP");
    const { msg } = await this.gateway.line((line) => String(line["msg"]).startsWith("reload"), from);
    if (msg !== "reloaded")
      throw new Error(`${String(msg)}: ${JSON.stringify(this.gateway.lines.slice(from))}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#open.disposeAsync();
  }
}

function configOf(
  targets: readonly TargetProcess[],
  upstreams: WorldOptions["upstreams"],
  weights: NonNullable<WorldOptions["weights"]>,
): string {
  const made: string[] = [];
  const routes: string[] = [];
  for (const kind of KINDS) {
    const { speech, protocol, scheme } = kind;
    const urls = targets
      .map(({ name, ports }) => {
        const url = `${scheme}://127.0.0.1:${ports.get(speech)}`;
        return `{ url: "${url}", weight: ${weights[name] ?? 1} }`;
      })
      .join(", ");
    const tls = scheme === "https" ? "tls: { ca: ./ca.pem }, " : "";
    for (const [name, keys] of Object.entries(upstreams(kind))) {
      const to = `${speech}-${name}`;
      made.push(`  ${to}: { protocol: ${protocol}, targets: [${urls}], ${tls}${keys} }`);
      routes.push(`  - { match: { header: { x-to: ${to} } }, upstream: ${to} }`);
    }
  }
  return `version: 1
listeners: [{ address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", token: ${ADMIN_TOKEN} }
log: { access: false }
upstreams:
${made.join("\n")}
routes:
${routes.join("\n")}
`;
}
