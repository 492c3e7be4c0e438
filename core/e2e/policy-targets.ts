import type { KeyPair } from "../listener/test-certificates.ts";
import { type NodeProcess, startNode } from "./node-process.ts";
import type { Orders, Setup, Situation, Speech } from "./policy-orders.ts";

/** A process of policy-upstream.ts: one target of each speech, which can be killed and started on the same ports. */
export class TargetProcess implements AsyncDisposable {
  readonly name: string;
  readonly ports = new Map<Speech, number>();
  readonly #setup: Omit<Setup, "targets">;
  readonly #replies = new Map<number, (situation: Situation) => void>();
  #process: NodeProcess | undefined;
  #orders = 0;

  private constructor(name: string, setup: Omit<Setup, "targets">) {
    this.name = name;
    this.#setup = setup;
  }

  /** @param journal the file that every request is written to. */
  static async start(
    name: string,
    speeches: readonly Speech[],
    journal: string,
    tls: KeyPair,
  ): Promise<TargetProcess> {
    const self = new TargetProcess(name, { journal, ...tls });
    for (const speech of speeches) self.ports.set(speech, 0);
    await self.start();
    return self;
  }

  async start(): Promise<void> {
    const targets = Array.from(this.ports, ([speech, port]) => ({
      name: `${this.name}/${speech}`,
      speech,
      port,
    }));
    const setup: Setup = { ...this.#setup, targets };
    const started = (this.#process = await startNode("policy-upstream.ts", JSON.stringify(setup)));
    const ports = (await started.next()) as Record<string, number>;
    for (const speech of this.ports.keys()) this.ports.set(speech, ports[`${this.name}/${speech}`]!);
    void this.#read(started);
  }

  /** Sends it SIGKILL. */
  async kill(): Promise<void> {
    const killed = this.#process;
    this.#process = undefined;
    await killed?.[Symbol.asyncDispose]();
  }

  /**
   * Answers once the orders are obeyed, and so many requests are held where that is asked for. Without orders it tells
   * what is the case.
   */
  order(speech: Speech, orders: Orders = {}, untilHeld?: number): Promise<Situation> {
    const process = this.#process;
    if (process === undefined) return Promise.reject(new Error(`target ${this.name} is not running`));
    const number = this.#orders++;
    return new Promise((resolve) => {
      this.#replies.set(number, resolve);
      const order = { number, target: `${this.name}/${speech}`, orders };
      process.tell(untilHeld === undefined ? order : { ...order, untilHeld });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #read(process: NodeProcess): Promise<void> {
    for (;;) {
      const situation = (await process.next().catch(() => undefined)) as Situation | undefined;
      if (situation === undefined) return;
      this.#replies.get(situation.number)?.(situation);
      this.#replies.delete(situation.number);
    }
  }
}
