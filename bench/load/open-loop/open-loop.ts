import type { Socket } from "bun";
import { monotonic } from "../../origins/monotonic.ts";
import { AnswerReader, type BodyReader } from "./answer-reader.ts";

export interface OpenLoopPlan {
  /** On 127.0.0.1. */
  readonly port: number;
  /** A whole request, as it is sent each time. */
  readonly request: Uint8Array;
  /** Of each answer. */
  readonly status: number;
  /** For each connection one. */
  readonly newBody: () => BodyReader;
  /** Milliseconds from the start, ascending; see `arrivalTimes`. */
  readonly arrivals: Float64Array;
  /** The first of them that is measured. */
  readonly first: number;
  /** What falls due while all of them are taken waits, and its time runs. */
  readonly maxConnections: number;
  /** Milliseconds after the last arrival in which everything must have been answered. */
  readonly patience: number;
}

/** Times are milliseconds. */
export interface OpenLoopRun {
  /** Of each measured request: from when it fell due to the last byte of its right answer. NaN where there was none. */
  readonly latencies: Float64Array;
  /** Of each measured request: from when it fell due to when the generator turned to it. */
  readonly lateness: Float64Array;
  readonly connections: number;
  readonly errors: number;
  readonly firstError: string | undefined;
}

/**
 * Sends requests when they fall due, whether or not those before were answered: over a connection that is idle, or a
 * new one. What counts is when a request should have been sent, so a server that stalls is seen by all that would have
 * come meanwhile, and a generator that stalls does not look like a fast server.
 *
 * It looks at the clock all the time, with a poll of its sockets in between: timers of the runtime are a millisecond
 * apart. That takes a core of its own (see own-core.ts).
 */
export function runPlan(plan: OpenLoopPlan): Promise<OpenLoopRun> {
  return new OpenLoop(plan).run();
}

class OpenLoop {
  readonly #plan: OpenLoopPlan;
  readonly #latencies: Float64Array;
  readonly #lateness: Float64Array;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  /** Requests that found no connection, from `#waitingFrom` on. */
  readonly #waiting: number[] = [];
  #waitingFrom = 0;
  #next = 0;
  #done = 0;
  #connections = 0;
  #errors = 0;
  #firstError: string | undefined;
  #start = 0;
  #giveUpAt = 0;
  #finish: () => void = () => undefined;

  constructor(plan: OpenLoopPlan) {
    this.#plan = plan;
    const measured = plan.arrivals.length - plan.first;
    this.#latencies = new Float64Array(measured).fill(Number.NaN);
    this.#lateness = new Float64Array(measured);
  }

  async run(): Promise<OpenLoopRun> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#finish = resolve;
    this.#start = monotonic();
    this.#giveUpAt = this.#start + (this.#plan.arrivals.at(-1) ?? 0) + this.#plan.patience;
    this.#turn();
    await promise;
    const result = {
      latencies: this.#latencies,
      lateness: this.#lateness,
      connections: this.#connections,
      errors: this.#errors,
      firstError: this.#firstError,
    };
    // What is closed from here on is no loss any more.
    this.#waitingFrom = this.#waiting.length;
    for (const connection of this.#open) connection.abandon();
    return result;
  }

  readonly #turn = (): void => {
    const { arrivals } = this.#plan;
    const now = monotonic();
    while (this.#next < arrivals.length && this.#start + arrivals[this.#next]! <= now)
      this.#fire(this.#next++);
    if (this.#done === arrivals.length) {
      this.#finish();
      return;
    }
    if (now > this.#giveUpAt) {
      const left = arrivals.length - this.#done;
      this.#errors += left;
      this.#firstError ??= `${left} requests had no answer ${this.#plan.patience} ms after the last was due`;
      this.#finish();
      return;
    }
    setImmediate(this.#turn);
  };

  #fire(request: number): void {
    const { first, maxConnections } = this.#plan;
    if (request >= first) this.#lateness[request - first] = monotonic() - this.#intended(request);
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.send(request, this.#intended(request), request >= first);
    else if (this.#open.size < maxConnections) this.#connect(request);
    else this.#waiting.push(request);
  }

  #connect(request: number): void {
    const { port, request: bytes, status, newBody, first } = this.#plan;
    const connection = new Connection(this, bytes, new AnswerReader(status, newBody()));
    this.#open.add(connection);
    this.#connections++;
    connection.send(request, this.#intended(request), request >= first);
    Bun.connect({ hostname: "127.0.0.1", port, data: connection, socket: HANDLERS }).catch(
      (error: unknown) => {
        connection.lost(`cannot connect: ${String(error)}`);
      },
    );
  }

  #intended(request: number): number {
    return this.#start + this.#plan.arrivals[request]!;
  }

  answered(request: number, intended: number): void {
    const { first } = this.#plan;
    if (request >= first) this.#latencies[request - first] = monotonic() - intended;
    this.#done++;
  }

  failed(why: string): void {
    this.#errors++;
    this.#done++;
    this.#firstError ??= why;
  }

  /** An error that belongs to no request. */
  strange(why: string): void {
    this.#errors++;
    this.#firstError ??= why;
  }

  idle(connection: Connection): void {
    if (this.#waitingFrom === this.#waiting.length) {
      this.#idle.push(connection);
      return;
    }
    const request = this.#waiting[this.#waitingFrom++]!;
    connection.send(request, this.#intended(request), request >= this.#plan.first);
  }

  gone(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#waitingFrom < this.#waiting.length) this.#connect(this.#waiting[this.#waitingFrom++]!);
  }
}

const NONE = -1;

class Connection {
  readonly #loop: OpenLoop;
  readonly #bytes: Uint8Array;
  readonly #reader: AnswerReader;
  #socket: Socket<Connection> | undefined;
  #request = NONE;
  #intended = 0;
  /** Of the request, by the kernel. */
  #sent = 0;

  constructor(loop: OpenLoop, bytes: Uint8Array, reader: AnswerReader) {
    this.#loop = loop;
    this.#bytes = bytes;
    this.#reader = reader;
  }

  /** As soon as it is connected. */
  send(request: number, intended: number, counted: boolean): void {
    this.#request = request;
    this.#intended = intended;
    this.#sent = 0;
    this.#reader.begin(intended, counted);
    this.write();
  }

  opened(socket: Socket<Connection>): void {
    this.#socket = socket;
    this.write();
  }

  write(): void {
    if (this.#socket === undefined || this.#request === NONE || this.#sent === this.#bytes.byteLength) return;
    const taken = this.#socket.write(this.#bytes, this.#sent);
    if (taken > 0) this.#sent += taken;
  }

  read(chunk: Buffer): void {
    const request = this.#request;
    try {
      if (request === NONE) throw new Error("an answer that nobody asked for");
      if (!this.#reader.push(chunk)) return;
    } catch (error) {
      this.lost((error as Error).message);
      return;
    }
    this.#request = NONE;
    this.#loop.answered(request, this.#intended);
    if (this.#reader.keepAlive) this.#loop.idle(this);
    else this.lost(undefined);
  }

  /** A server may close what is idle. @param why undefined where that is how it should be */
  lost(why: string | undefined): void {
    const request = this.#request;
    this.#request = NONE;
    this.abandon();
    if (request !== NONE)
      this.#loop.failed(why ?? "the connection was closed before the answer was complete");
    else if (why !== undefined) this.#loop.strange(why);
    this.#loop.gone(this);
  }

  abandon(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
  }
}

const HANDLERS = {
  open: (socket: Socket<Connection>): void => socket.data.opened(socket),
  data: (socket: Socket<Connection>, chunk: Buffer): void => socket.data.read(chunk),
  drain: (socket: Socket<Connection>): void => socket.data.write(),
  end: (socket: Socket<Connection>): void => socket.data.lost(undefined),
  close: (socket: Socket<Connection>): void => socket.data.lost(undefined),
  error: (socket: Socket<Connection>, error: Error): void => socket.data.lost(error.message),
  // The promise of Bun.connect says it.
  connectError: (): void => undefined,
};
