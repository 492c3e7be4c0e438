import { type Message, MessageReader } from "./message-reader.ts";
import { PlainSocket } from "./plain-socket.ts";

/**
 * HTTP/1.1 connections to one server, kept and used again, one request at a time each. Unlike `fetch` it never sends
 * anything twice by itself: a request whose connection ends before its answer has failed.
 */
export class PolicyConnections implements Disposable {
  readonly #hostname: string;
  readonly #port: number;
  readonly #idle = new Set<Connection>();
  readonly #all = new Set<Connection>();

  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#hostname = hostname;
    this.#port = Number(port);
  }

  /** @param request all of its bytes. @param signal by which the client leaves. */
  async send(request: string, signal?: AbortSignal): Promise<Message> {
    const connection = this.#take() ?? (await this.#connect());
    const leave = (): void => connection.cut();
    signal?.addEventListener("abort", leave);
    const answer = await connection.ask(Buffer.from(request));
    signal?.removeEventListener("abort", leave);
    if (answer.headers.get("connection") === "close") connection.cut();
    else if (connection.open) this.#idle.add(connection);
    return answer;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#all) connection.cut();
  }

  #take(): Connection | undefined {
    const [connection] = this.#idle;
    if (connection !== undefined) this.#idle.delete(connection);
    return connection;
  }

  async #connect(): Promise<Connection> {
    const connection = new Connection(() => {
      this.#idle.delete(connection);
      this.#all.delete(connection);
    });
    await connection.connect(this.#hostname, this.#port);
    this.#all.add(connection);
    return connection;
  }
}

class Connection {
  open = true;
  #socket!: PlainSocket;
  #asked: { resolve(answer: Message): void; reject(error: Error): void } | undefined;
  readonly #reader = new MessageReader(
    (answer) => this.#answered(answer),
    () => true,
    true,
  );
  readonly #closed: () => void;

  constructor(closed: () => void) {
    this.#closed = closed;
  }

  async connect(hostname: string, port: number): Promise<void> {
    await Bun.connect({
      hostname,
      port,
      socket: {
        open: (socket) => void (this.#socket = new PlainSocket(socket)),
        data: (_, chunk) => this.#reader.feed(chunk),
        drain: () => this.#socket.drained(),
        close: () => this.#ended(),
      },
    });
  }

  ask(request: Uint8Array): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.#socket.write(request);
    });
  }

  cut(): void {
    this.#socket.cut();
  }

  #answered(answer: Message): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (answer.complete) asked?.resolve(answer);
    else asked?.reject(new Error(`${answer.start}: cut off after ${answer.body.byteLength} bytes`));
  }

  #ended(): void {
    this.open = false;
    this.#closed();
    this.#reader.end();
    this.#asked?.reject(new Error("no answer"));
  }
}
