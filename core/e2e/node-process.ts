import { join } from "node:path";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { ROOT } from "./paths.ts";

/** A module of this folder that runs on Node, as a program of its own. */
export interface NodeProcess extends AsyncDisposable {
  readonly pid: number;
  /** The next line that it writes, parsed. Rejects once it has ended. */
  next(): Promise<unknown>;
  /** Writes a value as a line of its stdin. */
  tell(value: unknown): void;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

/**
 * Runs `core/e2e/ENTRY` on Node, bundled with its packages; it answers with a JSON value a line on stdout. What is a
 * server or a client of others for our users is that on Node, and not on the runtime that we are made of.
 */
export async function startNode(entry: string, ...args: readonly string[]): Promise<NodeProcess> {
  const dir = temporaryDir();
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, entry)],
    outdir: dir.path,
    naming: "entry.mjs",
    target: "node",
    // What only Bun has; core/e2e/paths.ts finds the repository by it.
    define: { "import.meta.dir": JSON.stringify(import.meta.dir) },
  });
  if (!built.success) throw new AggregateError(built.logs, `${entry} cannot be bundled`);
  const child = Bun.spawn(["node", join(dir.path, "entry.mjs"), ...args], {
    cwd: ROOT,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = parsedLines(child.stdout);
  return {
    pid: child.pid,
    async next() {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${entry} ended with ${await child.exited}`);
      return value;
    },
    tell(value) {
      void child.stdin.write(`${JSON.stringify(value)}\n`);
      void child.stdin.flush();
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      dir[Symbol.dispose]();
    },
  };
}

async function* parsedLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<unknown, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield JSON.parse(part);
  }
}
