import { join } from "node:path";
import { ROOT } from "../../core/e2e/paths.ts";
import type { Origin } from "../scenario.ts";

/**
 * Runs a module of this folder as a program of its own; it says its port in its first line on stdout.
 * @param server `json-server.ts`, say
 */
export async function startOriginProcess(server: string): Promise<Origin> {
  const script = `bench/origins/${server}`;
  const child = Bun.spawn([process.execPath, join(ROOT, script)], {
    cwd: ROOT,
    // Its end tells the server that nobody needs it any more, however we ended.
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(Buffer.from(value ?? []).toString());
  if (!(port > 0)) {
    await stop();
    throw new Error(`${script} did not start`);
  }
  return { port, command: ["bun", script], [Symbol.asyncDispose]: stop };
}

/** For such a module: says the port, and ends the process when whoever started it has gone. */
export function serveOn(port: number): void {
  process.stdout.write(`${port}\n`);
  process.stdin.on("end", () => process.exit());
  process.stdin.resume();
}
