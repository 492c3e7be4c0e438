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
  const files = { [script]: `sha256 of all its code: ${await digestOf(join(ROOT, script))}` };
  return { port, command: ["bun", script], files, [Symbol.asyncDispose]: stop };
}

/** Of a module and all that it imports: whether two results had the same origin. */
async function digestOf(entry: string): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [entry], target: "bun" });
  const hash = new Bun.CryptoHasher("sha256");
  for (const output of outputs) hash.update(await output.text());
  return hash.digest("hex");
}

/** For such a module: says the port, and ends the process when whoever started it has gone. */
export function serveOn(port: number): void {
  process.stdout.write(`${port}\n`);
  process.stdin.on("end", () => process.exit());
  process.stdin.resume();
}
