import { createSeededRandom } from "../testing/seeded-random.ts";
import { sum } from "./byte-pool.ts";
import { type Message, MessageReader } from "./message-reader.ts";
import { PlainSocket } from "./plain-socket.ts";
import { type Dice, type RandomRequest, rollRequest } from "./random-requests.ts";

export interface TrafficOptions {
  readonly port: number;
  readonly requests: number;
  readonly connections: number;
  readonly seed: number;
  /** Told at every thousandth request how many are over. */
  readonly progress?: (over: number) => void;
}

/** What the clients saw. */
export interface TrafficReport {
  /** Answers that were right to the last byte. */
  good: number;
  /** Answers that broke off, as the upstream made them. */
  brokenOff: number;
  /** Requests whose client left. */
  left: number;
  /** What must not be. */
  readonly wrong: string[];
}

/** More than these are of no use to anybody. */
const MANY_WRONG = 20;

/** Random requests over raw connections to a gateway in front of a `CheckingUpstream`; the seed says which. */
export async function randomTraffic(options: TrafficOptions): Promise<TrafficReport> {
  const report: TrafficReport = { good: 0, brokenOff: 0, left: 0, wrong: [] };
  const source = createSeededRandom(options.seed);
  const dice: Dice = (below) => Math.floor(source.next() * below);
  let toCome = options.requests;
  let over = 0;
  const workers = Array.from({ length: options.connections }, async () => {
    let client: TrafficClient | undefined;
    while (toCome > 0 && report.wrong.length < MANY_WRONG) {
      // Mostly one after the other, sometimes several at once (RFC 9112 §9.3.2).
      const many = Math.min(toCome, dice(20) === 0 ? 2 + dice(3) : 1);
      const batch = Array.from({ length: many }, () => rollRequest(dice, many === 1));
      toCome -= many;
      client ??= await TrafficClient.connect(options.port);
      if (!(await client.run(batch, dice, report))) client = undefined;
      if (Math.floor(over / 1_000) < Math.floor((over + many) / 1_000)) options.progress?.(over + many);
      over += many;
    }
    client?.close();
  });
  await Promise.all(workers);
  return report;
}

/** One connection of a client that believes nothing. */
class TrafficClient {
  #socket!: PlainSocket;
  #isOpen = true;
  readonly #reader = new MessageReader(
    (answer) => this.#answer(answer),
    ({ start }) => this.#expected[0]?.method !== "HEAD" && !/ (1\d\d|204|304) /.test(start),
    true,
  );
  #expected: RandomRequest[] = [];
  #report!: TrafficReport;
  #closes = false;
  /** Goes on when the next thing has happened. */
  #wake: () => void = () => undefined;

  static async connect(port: number): Promise<TrafficClient> {
    const client = new TrafficClient();
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void (client.#socket = new PlainSocket(socket)),
        data: (_, chunk) => client.#data(chunk),
        drain: () => client.#socket.drained(),
        close: () => client.#closed(),
      },
    });
    return client;
  }

  /** Sends these requests at once and checks their answers. False when the connection is of no use any more. */
  async run(batch: readonly RandomRequest[], dice: Dice, report: TrafficReport): Promise<boolean> {
    this.#expected = [...batch];
    this.#report = report;
    const [first] = batch;
    if (first?.leaves !== undefined) return this.#leave(first);
    await this.#send(
      Buffer.concat(batch.flatMap(({ head, body, waits }) => (waits ? [head] : [head, body]))),
      dice,
    );
    while (this.#isOpen && (this.#expected.length > 0 || this.#closes)) await this.#next();
    for (const missing of this.#expected) this.#wrong(missing, "no answer");
    return this.#isOpen;
  }

  close(): void {
    this.#socket.cut();
  }

  async #leave(request: RandomRequest): Promise<false> {
    this.#report.left++;
    this.#expected = [];
    this.#socket.write(request.head);
    if (request.leaves === "in the body")
      this.#socket.write(request.body.subarray(0, request.body.byteLength >> 1));
    else this.#socket.write(request.body);
    if (request.leaves === "in the answer") await this.#next();
    this.#socket.cut();
    while (this.#isOpen) await this.#next();
    return false;
  }

  /** Mostly in one piece, sometimes in several that arrive on their own. */
  async #send(bytes: Uint8Array, dice: Dice): Promise<void> {
    let at = 0;
    for (let pieces = dice(5) === 0 ? 1 + dice(6) : 0; pieces > 0 && this.#isOpen; pieces--) {
      const end = Math.min(bytes.byteLength, at + 1 + dice(dice(2) === 0 ? 40 : bytes.byteLength));
      this.#socket.write(bytes.subarray(at, end));
      at = end;
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.#isOpen) this.#socket.write(bytes.subarray(at));
  }

  #data(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    this.#wake();
  }

  #closed(): void {
    this.#isOpen = false;
    this.#reader.end();
    this.#wake();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #answer(answer: Message): void {
    const [expected] = this.#expected;
    if (expected === undefined) {
      // Somebody who leaves does not care.
      return;
    }
    const status = Number(answer.start.split(" ")[1]);
    if (status < 200) {
      if (expected.waits) this.#socket.write(expected.body);
      return;
    }
    this.#expected.shift();
    this.#closes ||= answer.headers.get("connection") === "close" || !answer.complete;
    if (expected.isCut) {
      if (!answer.complete || status === 502) this.#report.brokenOff++;
      else this.#wrong(expected, "an answer that broke off came as a whole one");
      return;
    }
    if (!answer.complete) this.#wrong(expected, "the answer broke off");
    else if (status !== expected.status)
      this.#wrong(expected, answer.start + Buffer.from(answer.body).toString());
    else if (answer.headers.get("x-got") !== expected.requestSum)
      this.#wrong(expected, "the upstream read another body");
    else if (sum(answer.body) !== expected.answerSum) this.#wrong(expected, "another body came back");
    else this.#report.good++;
  }

  #wrong(request: RandomRequest, what: string): void {
    this.#report.wrong.push(`${Buffer.from(request.head).toString().split("\r\n")[0]}: ${what}`);
  }
}
