import type { Socket } from "bun";
import { type Body, type Clock, collect, HeaderList, SluiceError } from "sluice/plugin";
import type { PoolConfig, TargetConfig, UpstreamConfig, UpstreamTimeouts } from "../../config/types.ts";
import { systemClock } from "../services/clock.ts";
import { createHttp1Transport } from "./http1-transport.ts";
import { createHttp2Transport } from "./http2-transport.ts";
import type { TlsMaterial } from "./tls-material.ts";
import type { Cancellable, OutboundRequest, Transport, UpstreamAnswer } from "./transport.ts";

/* What the tests of this folder share: requests, transports, and peers that say on the wire whatever they are told. */

export interface TestRequest extends OutboundRequest {
  /** Gives the request up. */
  give(reason: unknown): void;
  readonly informed: { readonly status: number; readonly headers: HeaderList }[];
  readonly progress: { sent: boolean; reused: boolean; finished: boolean };
}

export type RequestFields = Partial<
  Pick<OutboundRequest, "method" | "target" | "authority" | "scheme" | "headers" | "body">
> & { timeouts?: Partial<UpstreamTimeouts> };

const NO_TIMEOUTS: UpstreamTimeouts = {
  connect: undefined,
  firstByte: undefined,
  idle: undefined,
  request: undefined,
};

/** A GET of `/` without limits, unless `fields` say otherwise. */
export function outbound(fields: RequestFields = {}): TestRequest {
  let running: Cancellable | undefined;
  const informed: { status: number; headers: HeaderList }[] = [];
  return {
    method: "GET",
    target: "/",
    authority: "upstream.test",
    scheme: "http",
    headers: new HeaderList(),
    body: null,
    ...fields,
    timeouts: { ...NO_TIMEOUTS, ...fields.timeouts },
    progress: { sent: false, reused: false, finished: false },
    informed,
    onInform: (status, headers) => void informed.push({ status, headers }),
    onCancel: (call) => void (running = call),
    offCancel: () => void (running = undefined),
    give: (reason) => running?.cancelled(reason),
  };
}

export interface TransportSettings {
  readonly port?: number;
  readonly host?: string;
  readonly socketPath?: string;
  readonly clock?: Clock;
  readonly pool?: Partial<PoolConfig>;
  readonly tls?: Partial<TlsMaterial>;
}

const POOL: PoolConfig = { maxConnections: 16, idleTimeout: 60_000, maxAge: undefined, maxPending: 16 };

export function targetOf(settings: TransportSettings): TargetConfig {
  const { port = 0, host = "127.0.0.1", socketPath, tls } = settings;
  const scheme = socketPath === undefined ? (tls === undefined ? "http" : "https") : "unix";
  const url = socketPath === undefined ? `${scheme}://${host}:${port}` : `unix:${socketPath}`;
  return { url, scheme, host, port, socketPath, basePath: "", weight: 1, priority: 0, srv: false };
}

function optionsOf(settings: TransportSettings) {
  const tls: TlsMaterial | undefined = settings.tls && {
    ca: undefined,
    cert: undefined,
    key: undefined,
    serverName: undefined,
    verify: true,
    ...settings.tls,
  };
  return {
    target: targetOf(settings),
    pool: { ...POOL, ...settings.pool },
    tls,
    clock: settings.clock ?? systemClock,
  };
}

export const http1 = (settings: TransportSettings): Transport => createHttp1Transport(optionsOf(settings));
export const http2 = (settings: TransportSettings): Transport => createHttp2Transport(optionsOf(settings));

/** `http://127.0.0.1:PORT`, perhaps with a path, as a target. */
export function targetAt(text: string): TargetConfig {
  const url = new URL(text);
  const basePath = url.pathname === "/" ? "" : url.pathname;
  return { ...targetOf({ host: url.hostname, port: Number(url.port) }), url: text, basePath };
}

/** An upstream without limits of any kind, unless `fields` say otherwise. */
export function upstreamConfig(fields: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return {
    name: "test",
    kind: "http",
    protocol: "http1",
    targets: [],
    balance: "round-robin",
    hash: [{ from: "address" }],
    slowStart: undefined,
    panicThreshold: 0,
    timeouts: NO_TIMEOUTS,
    pool: POOL,
    limits: { requests: undefined, queue: 1024, queueTimeout: 1_000 },
    dns: { servers: [], family: "auto", addresses: "all", minTtl: 1_000, maxTtl: 300_000, timeout: 5_000 },
    tls: undefined,
    health: undefined,
    outlier: undefined,
    retries: undefined,
    hedge: undefined,
    circuitBreaker: undefined,
    bulkhead: undefined,
    place: { file: "sluice.yaml", line: 1, column: 1 },
    ...fields,
  };
}

/** A body to its end, as latin-1. */
export async function textOf(answer: UpstreamAnswer): Promise<string> {
  return Buffer.from((await collect(answer.body, Infinity)) ?? []).toString("latin1");
}

/** What `promise` rejects with, which is a SluiceError with this reason; fails where it does not. */
/** The next piece of an answer's body. */
export async function pieceOf(answer: UpstreamAnswer | undefined): Promise<string> {
  const piece = await answer?.body?.read();
  return !piece ? String(piece) : Buffer.from(piece).toString();
}

export async function failure(promise: Promise<unknown>): Promise<SluiceError> {
  const error: unknown = await promise.then(
    (value) => new Error(`resolved with ${String(value)}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof SluiceError) return error;
  throw error;
}

/** Answers once `condition` holds. It is looked at whenever the event loop comes round. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

/** A body that is written into by a test, piece by piece. */
export class ManualBody implements Body {
  readonly length: number | undefined;
  trailers: HeaderList | undefined;
  cancelled = false;
  /** Reads that were answered. */
  reads = 0;
  readonly #chunks: (Uint8Array | Error | null)[] = [];
  #wake: (() => void) | undefined;

  constructor(length?: number) {
    this.length = length;
  }

  push(chunk: string | Uint8Array): void {
    this.#add(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : chunk);
  }

  end(trailers?: HeaderList): void {
    this.trailers = trailers;
    this.#add(null);
  }

  fail(error: Error): void {
    this.#add(error);
  }

  async read(): Promise<Uint8Array | null> {
    while (this.#chunks.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.reads++;
    const next = this.#chunks.shift() ?? null;
    if (next instanceof Error) throw next;
    return next;
  }

  cancel(): void {
    this.cancelled = true;
  }

  #add(item: Uint8Array | Error | null): void {
    this.#chunks.push(item);
    this.#wake?.();
  }
}

/** One connection that a {@link Peer} accepted. */
export class PeerConnection {
  /** Everything that came, as latin-1. */
  received = "";
  /** How many bytes came. */
  bytes = 0;
  /** How it was closed by the other side. */
  readonly over: Promise<"fin" | "reset">;
  readonly #socket: Socket<PeerConnection>;
  #waiting: Uint8Array[] = [];
  #resolve!: (how: "fin" | "reset") => void;
  #wake: (() => void) | undefined;

  constructor(socket: Socket<PeerConnection>) {
    this.#socket = socket;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  write(data: string | Uint8Array): void {
    this.#waiting.push(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    this.flush();
  }

  /** Bytes that the other side has not taken. */
  get unsent(): number {
    return this.#waiting.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  /** FIN after what was written; reading goes on. */
  end(): void {
    this.#socket.shutdown();
  }

  reset(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Answers once `text` has come. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  flush(): void {
    while (this.#waiting.length > 0) {
      const chunk = this.#waiting[0]!;
      const taken = this.#socket.write(chunk);
      if (taken < 0) return;
      if (taken < chunk.byteLength) {
        this.#waiting[0] = chunk.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
  }

  took(chunk: Buffer): void {
    this.bytes += chunk.byteLength;
    this.received += chunk.toString("latin1");
    this.#wake?.();
  }

  closed(how: "fin" | "reset"): void {
    this.#resolve(how);
  }
}

/** A server that says on the wire exactly what a test tells it to. */
export interface Peer extends Disposable {
  readonly port: number;
  /** In the order of coming. */
  readonly connections: readonly PeerConnection[];
  /** The connection of that index, once it is there. */
  connection(index: number): Promise<PeerConnection>;
  /** Stops to accept; connections go on. */
  stop(): void;
}

/** @param data called after each piece that came; the usual way to answer. */
export function peer(data: (connection: PeerConnection, index: number) => void = () => {}): Peer {
  const connections: PeerConnection[] = [];
  const waiting = new Map<number, PromiseWithResolvers<PeerConnection>>();
  const server = Bun.listen<PeerConnection>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = new PeerConnection(socket);
        waiting.get(connections.push(socket.data) - 1)?.resolve(socket.data);
      },
      data(socket, chunk) {
        socket.data.took(chunk);
        data(socket.data, connections.indexOf(socket.data));
      },
      drain: (socket) => socket.data.flush(),
      end(socket) {
        socket.data.closed("fin");
      },
      close(socket) {
        socket.data.closed("reset");
      },
      error() {},
    },
  });
  return {
    port: server.port,
    connections,
    connection(index) {
      const there = connections[index];
      if (there !== undefined) return Promise.resolve(there);
      const awaited = waiting.get(index) ?? Promise.withResolvers<PeerConnection>();
      waiting.set(index, awaited);
      return awaited.promise;
    },
    stop: () => server.stop(),
    [Symbol.dispose]: () => server.stop(true),
  };
}

/** A peer that answers every request head of a connection with the next of `answers`; the last one repeats. */
export function answering(...answers: string[]): Peer {
  const heads = new WeakMap<PeerConnection, number>();
  let total = 0;
  return peer((connection) => {
    const seen = heads.get(connection) ?? 0;
    const now = connection.received.split("\r\n\r\n").length - 1;
    heads.set(connection, now);
    for (let i = seen; i < now; i++) connection.write(answers[Math.min(total++, answers.length - 1)] ?? "");
  });
}

export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
