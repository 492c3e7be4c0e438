import type { Socket } from "bun";
import { inParallel } from "../../core/e2e/in-parallel.ts";
import { monotonic } from "../origins/monotonic.ts";
import { MOST_EVENTS } from "../origins/sse-events.ts";
import { AnswerReader } from "./open-loop/answer-reader.ts";
import { EventBody } from "./open-loop/event-body.ts";
import { ExactBody } from "./open-loop/exact-body.ts";

/** Connections that are open and silent, for as long as their memory is looked at. */
export interface Held extends Disposable {
  /** Throws where one was lost, or said something, since. */
  check(): void;
}

/** Opened at a time: nobody's backlog need be long. */
const AT_ONCE = 32;
const PATIENCE = 5_000;

/** Opens so many connections to 127.0.0.1, and leaves them idle after one right answer on each. */
export function holdConnections(options: {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** The body of the answer. */
  readonly expected: Uint8Array;
}): Promise<Held> {
  return holdAll(options.connections, options.port, options.path, () => new IdleHolder(options.expected));
}

/** Opens so many streams of the SSE origin, and leaves them after their first event. */
export function holdStreams(options: {
  readonly port: number;
  /** `/hold` unless said otherwise. */
  readonly path?: string;
  readonly streams: number;
}): Promise<Held> {
  return holdAll(options.streams, options.port, options.path ?? "/hold", () => new StreamHolder());
}

async function holdAll(count: number, port: number, path: string, newHolder: () => Holder): Promise<Held> {
  const holders = Array.from({ length: count }, newHolder);
  const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`;
  const letGo = (): void => {
    for (const holder of holders) holder.letGo();
  };
  try {
    await inParallel(holders, AT_ONCE, async (holder) => {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, data: holder, socket: HANDLERS });
      socket.write(request);
      await holder.ready;
    });
  } catch (error) {
    letGo();
    throw error;
  }
  return {
    check() {
      const { length } = holders.filter(({ lost }) => lost !== undefined);
      const first = holders.find(({ lost }) => lost !== undefined)?.lost;
      if (first !== undefined) throw new Error(`${length} of ${count} were not held, the first: ${first}`);
    },
    [Symbol.dispose]: letGo,
  };
}

const HANDLERS = {
  open: (socket: Socket<Holder>): void => socket.data.opened(socket),
  data: (socket: Socket<Holder>, bytes: Buffer): void => socket.data.read(bytes),
  end: (socket: Socket<Holder>): void => socket.data.lose("it was closed"),
  close: (socket: Socket<Holder>): void => socket.data.lose("it was closed"),
  error: (socket: Socket<Holder>, error: Error): void => socket.data.lose(error.message),
};

abstract class Holder {
  /** Rejects where the answer is wrong, or does not come. */
  readonly ready: Promise<void>;
  /** Why it is not held any more. */
  lost: string | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  readonly #timer = setTimeout(() => this.lose(`no answer for ${PATIENCE} ms`), PATIENCE);
  #socket: Socket<Holder> | undefined;
  #held = false;

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    // Nobody may have come to wait for it.
    promise.catch(() => undefined);
  }

  /** @throws where the bytes are wrong */
  protected abstract take(bytes: Buffer): void;

  protected hold(): void {
    this.#held = true;
    clearTimeout(this.#timer);
    this.#resolve();
  }

  opened(socket: Socket<Holder>): void {
    this.#socket = socket;
  }

  read(bytes: Buffer): void {
    try {
      if (this.#held) throw new Error("it said something");
      this.take(bytes);
    } catch (error) {
      this.lose((error as Error).message);
    }
  }

  lose(why: string): void {
    this.lost ??= why;
    this.#reject(new Error(why));
    this.letGo();
  }

  letGo(): void {
    clearTimeout(this.#timer);
    this.#socket?.terminate();
    this.#socket = undefined;
  }
}

class IdleHolder extends Holder {
  readonly #reader: AnswerReader;

  constructor(expected: Uint8Array) {
    super();
    this.#reader = new AnswerReader(200, new ExactBody(expected));
    this.#reader.begin(0, false);
  }

  protected override take(bytes: Buffer): void {
    if (this.#reader.push(bytes)) this.hold();
  }
}

class StreamHolder extends Holder {
  readonly #reader = new AnswerReader(
    200,
    new EventBody(MOST_EVENTS, { now: monotonic, event: () => this.hold() }),
  );

  constructor() {
    super();
    this.#reader.begin(0, true);
  }

  protected override take(bytes: Buffer): void {
    // It never ends by itself: that would be too few events.
    this.#reader.push(bytes);
  }
}
