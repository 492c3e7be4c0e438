import { join } from "node:path";
import { type TemporaryDir, temporaryDir } from "../testing/temporary-dir.ts";
import { ROOT } from "./paths.ts";

/** The compiled binary, running in a directory of its own with no node_modules above it. */
export interface Binary extends AsyncDisposable {
  readonly pid: number;
  readonly dir: string;
  /** `127.0.0.1:PORT` of the n-th gateway listener. */
  listener(n?: number): string;
  readonly port: number;
  /** `http://127.0.0.1:PORT` of the admin listener. */
  readonly admin: string;
  /** Every log line so far, parsed. */
  readonly lines: readonly LogLine[];
  /** The first line, past or to come, for which `matches` holds; of the past only lines from index `from` on. */
  line(matches: (line: LogLine) => boolean, from?: number): Promise<LogLine>;
  write(name: string, content: string): void;
  signal(name: NodeJS.Signals): void;
  /** The exit code, once it has ended. */
  readonly exited: Promise<number>;
}

export type LogLine = Readonly<Record<string, unknown>>;

export const BINARY = process.env["SLUICE_BINARY"] ?? join(ROOT, "dist/sluice");

/** How a process ended, and all that it said. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the binary to its end. */
export async function runBinary(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const process_ = Bun.spawn([BINARY, ...args], {
    cwd,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(process_.stdout).text(),
    new Response(process_.stderr).text(),
    process_.exited,
  ]);
  return { code, stdout, stderr };
}

/**
 * Starts `sluice run` on a configuration and waits until it is ready. The configuration's listeners use port 0;
 * the log says which ports they got.
 */
export async function startBinary(
  yaml: string,
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Binary> {
  const dir = temporaryDir({ "sluice.yaml": yaml, ...files });
  try {
    return await running(dir, env);
  } catch (error) {
    dir[Symbol.dispose]();
    throw error;
  }
}

async function running(dir: TemporaryDir, env: Readonly<Record<string, string>>): Promise<Binary> {
  const child = Bun.spawn([BINARY, "run", "-c", "sluice.yaml"], {
    cwd: dir.path,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const reading = eachLine(child.stdout, (text) => {
    const line: unknown = JSON.parse(text);
    if (typeof line !== "object" || line === null) return;
    lines.push(line as LogLine);
    for (const check of waiting) check(line as LogLine);
  });
  const errors = new Response(child.stderr).text();

  const line = (matches: (line: LogLine) => boolean, from = 0): Promise<LogLine> => {
    const past = lines.slice(from).find(matches);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const check = (next: LogLine): void => {
        if (!matches(next)) return;
        waiting.delete(check);
        resolve(next);
      };
      waiting.add(check);
      void reading.then(async () => {
        reject(new Error(`sluice ended before that line: ${await errors}${JSON.stringify(lines.slice(-5))}`));
      });
    });
  };
  const portsOf = (role: string): string[] =>
    lines.filter((l) => l["msg"] === "listening" && l["role"] === role).map((l) => String(l["address"]));

  await line((l) => l["msg"] === "ready");
  const listener = (n = 0): string => portsOf("gateway")[n] ?? "";
  return {
    pid: child.pid,
    dir: dir.path,
    listener,
    get port() {
      return Number(listener().split(":").at(-1));
    },
    get admin() {
      return `http://${portsOf("admin")[0] ?? ""}`;
    },
    lines,
    line,
    write: (name, content) => void dir.write(name, content),
    signal: (name) => child.kill(name),
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL");
      await child.exited;
      await reading;
      dir[Symbol.dispose]();
    },
  };
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") take(part);
  }
}
