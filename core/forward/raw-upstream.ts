import type { Socket } from "bun";

/** A TCP server for tests that look at bytes: it says what it is told to, whenever it is told to. */
export interface RawUpstream extends Disposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Every byte that came, over all connections, as latin-1. */
  readonly received: string;
  /** Answers once `text` has come. */
  until(text: string): Promise<void>;
  /** Sends on the newest connection. */
  send(text: string): void;
  /** Cuts the newest connection. */
  cut(): void;
  /** Answers once the newest connection is closed by the other side. */
  closed(): Promise<void>;
}

/** @param answers what each connection sends, in order, each upon the end of a request's head. */
export function rawUpstream(answers: readonly string[]): RawUpstream {
  let received = "";
  let newest: Socket | undefined;
  let gone = Promise.withResolvers<void>();
  let wake = Promise.withResolvers<void>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        newest = socket;
        gone = Promise.withResolvers();
      },
      data(socket, chunk) {
        const before = received.split("\r\n\r\n").length;
        received += chunk.toString("latin1");
        const heads = received.split("\r\n\r\n").length;
        for (let i = before; i < heads; i++) socket.write(Buffer.from(answers[i - 1] ?? "", "latin1"));
        wake.resolve();
        wake = Promise.withResolvers();
      },
      close: () => gone.resolve(),
      error() {},
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    get received() {
      return received;
    },
    async until(text) {
      while (!received.includes(text)) await wake.promise;
    },
    send: (text) => void newest?.write(Buffer.from(text, "latin1")),
    cut: () => newest?.terminate(),
    closed: () => gone.promise,
    [Symbol.dispose]: () => server.stop(true),
  };
}
