import { accepting } from "./free-port.ts";

/** A server of somebody else's that a test has started. */
export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** Asks it to end; everything that it has said on stderr. */
  terminate(): Promise<string>;
}

/**
 * Starts a server that stays in the foreground, and waits until it accepts connections. Rejects with what it said
 * where it does not start.
 * @param command from /usr/sbin, say. @param port of 127.0.0.1, the last that it listens on
 */
export async function startDaemon(command: readonly string[], port: number): Promise<Daemon> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "pipe" });
  const said = new Response(child.stderr).text();
  const daemon: Daemon = {
    pid: child.pid,
    terminate() {
      child.kill("SIGTERM");
      return said;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
  const died = said.then((text) => Promise.reject(new Error(`${command[0]!} did not start: ${text}`)));
  died.catch(() => undefined);
  try {
    await Promise.race([accepting(port), died]);
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  return daemon;
}

/** HAProxy with this configuration file. */
export function startHaproxy(file: string, port: number): Promise<Daemon> {
  return startDaemon(["/usr/sbin/haproxy", "-db", "-f", file], port);
}

/** nginx with this configuration file, which says `daemon off`. */
export function startNginx(file: string, port: number): Promise<Daemon> {
  return startDaemon(["/usr/sbin/nginx", "-e", "stderr", "-c", file], port);
}
