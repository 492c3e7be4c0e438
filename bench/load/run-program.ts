import { relative } from "node:path";
import { ROOT } from "../../core/e2e/paths.ts";

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  /** As somebody would type it in the repository's root. */
  readonly command: string;
}

/** Milliseconds after which a program hangs, and is ended. */
const LONGEST = 120_000;

/** Runs a program to its end in the repository's root. @param apart whether in a session of its own */
export async function runProgram(argv: readonly string[], apart = false): Promise<Said> {
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: apart,
    timeout: LONGEST,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode, command: commandLine(argv) };
}

/** For a shell: paths below the repository's root are relative, this runtime is `bun`. */
export function commandLine(argv: readonly string[]): string {
  return argv.map((word) => quoted(word === process.execPath ? "bun" : below(word))).join(" ");
}

function below(word: string): string {
  return word.startsWith(`${ROOT}/`) ? relative(ROOT, word) : word;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
