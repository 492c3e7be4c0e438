import { join } from "node:path";
import { ROOT } from "./paths.ts";

export type WsEvent = Readonly<Record<string, unknown>>;

/** A WebSocket server or client of the package `ws`, in a process of its own. */
export interface WsPeer extends AsyncDisposable {
  readonly pid: number;
  readonly events: readonly WsEvent[];
  /** The first event of that name behind the last one that was awaited. */
  next(event: string): Promise<WsEvent>;
  /** Calls a method of the newest socket: `send`, `sendBytes`, `ping`, `close`, `terminate`, `pause` … */
  do(command: string, ...args: readonly unknown[]): void;
  /** Ends the process at once, as a crash would. */
  kill(): Promise<void>;
}

/** A server that echoes; answers with its port. */
export async function startWsServer(): Promise<WsPeer & { readonly port: number }> {
  const peer = start("server");
  const { port } = await peer.next("listening");
  return Object.assign(peer, { port: Number(port) });
}

/** A client that connects to `url`. */
export function startWsClient(url: string, ...protocols: readonly string[]): WsPeer {
  return start("client", url, ...protocols);
}

function start(...args: readonly string[]): WsPeer {
  const child = Bun.spawn(["node", join(ROOT, "core/e2e/ws-peer.mjs"), ...args], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const events: WsEvent[] = [];
  let seen = 0;
  let wake = Promise.withResolvers<void>();
  void (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) events.push(JSON.parse(line) as WsEvent);
      wake.resolve();
      wake = Promise.withResolvers();
    }
  })();
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    ...{ pid: child.pid, events, kill },
    async next(event) {
      for (;;) {
        for (; seen < events.length; seen++) if (events[seen]!["event"] === event) return events[seen++]!;
        await wake.promise;
      }
    },
    do(command, ...rest) {
      void child.stdin.write(`${JSON.stringify([command, ...rest])}\n`);
      void child.stdin.flush();
    },
    [Symbol.asyncDispose]: kill,
  };
}
