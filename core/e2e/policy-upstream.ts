import { openSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Order, Orders, Setup, Situation } from "./policy-orders.ts";
import { type Asked, type HealthAnswer, type Serve, server, type Service } from "./policy-servers.ts";

/*
 * Targets that do as they are told, on Node, to be killed and started again. Each request is written down before it is
 * answered, so that what was seen is known whatever happens to this program.
 */

class Target implements Service {
  readonly name: string;
  readonly #journal: number;
  #orders: Orders = {};
  readonly #held = new Set<Asked>();
  readonly #waiting: (() => void)[] = [];
  /** By the port they come from. */
  readonly #sockets = new Map<number, Socket>();
  readonly #serve: Serve;
  #front: Server | undefined;
  #port: number;
  #requests = 0;
  active = 0;
  peak = 0;

  constructor({ name, speech, port }: Setup["targets"][number], setup: Setup, journal: number) {
    this.name = name;
    this.#journal = journal;
    this.#port = port;
    this.#serve = server(speech, setup, this);
  }

  async listen(): Promise<number> {
    const front = (this.#front = createServer({ noDelay: true }, (socket) => this.#accepted(socket)));
    await new Promise<void>((resolve) => front.listen(this.#port, "127.0.0.1", resolve));
    return (this.#port = (front.address() as AddressInfo).port);
  }

  async obey(orders: Orders): Promise<void> {
    this.#orders = { ...this.#orders, ...orders };
    if (this.#orders.answer !== "hold") for (const request of this.#held) this.#answer(request);
    const { port } = orders;
    if (port === undefined) return;
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
    const front = this.#front;
    if (port !== "closed") {
      if (front === undefined) await this.listen();
      return;
    }
    this.#front = undefined;
    await new Promise<unknown>((resolve) =>
      front === undefined ? resolve(undefined) : front.close(resolve),
    );
  }

  async held(count: number): Promise<void> {
    while (this.#held.size < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  asked(request: Asked): void {
    writeSync(this.#journal, `${this.name} ${request.method} ${request.id}\n`);
    this.#requests++;
    this.active++;
    this.peak = Math.max(this.peak, this.active);
    request.whenOver(() => {
      this.active--;
      this.#held.delete(request);
    });
    const { stall, answer } = this.#orders;
    if (answer === "hold") {
      this.#held.add(request);
      for (const wake of this.#waiting.splice(0)) wake();
    } else if (stall && this.#requests % stall.every === 0) setTimeout(() => this.#answer(request), stall.ms);
    else this.#answer(request);
  }

  checked(say: (answer: HealthAnswer) => void): void {
    const { health = "good" } = this.#orders;
    if (health !== "hang") say(health);
  }

  #answer(request: Asked): void {
    const { answer } = this.#orders;
    if (answer === "reset") this.#sockets.get(request.from)?.resetAndDestroy();
    else if (answer === "fail") request.fail(this.#orders.retryAfter);
    else request.good();
  }

  #accepted(socket: Socket): void {
    const from = socket.remotePort ?? 0;
    this.#sockets.set(from, socket);
    // Who leaves says so by leaving.
    socket.on("error", () => undefined).once("close", () => this.#sockets.delete(from));
    if (this.#orders.port !== "mute") this.#serve(socket);
  }
}

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const setup = JSON.parse(process.argv[2]!) as Setup;
const journal = openSync(setup.journal, "a");
const targets = new Map(setup.targets.map((one) => [one.name, new Target(one, setup, journal)]));

const ports: Record<string, number> = {};
for (const [name, target] of targets) ports[name] = await target.listen();
say(ports);

createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line) as Order;
  const target = targets.get(order.target)!;
  void (async () => {
    await target.obey(order.orders);
    if (order.untilHeld !== undefined) await target.held(order.untilHeld);
    const { active, peak } = target;
    say({ number: order.number, active, peak } satisfies Situation);
  })();
});
