import { relative } from "node:path";
import { ROOT } from "../../core/e2e/paths.ts";
import { shell } from "../report/format.ts";

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  /** As somebody would type it in the repository's root. */
  readonly command: string;
}

/** Seconds after which a program that should have ended hangs, and is ended. */
const PATIENCE = 120;

/**
 * Runs a program to its end in the repository's root.
 * @param options.seconds that it means to run. @param options.apart whether in a session of its own
 */
export async function runProgram(
  argv: readonly string[],
  { seconds = 0, apart = false }: { readonly seconds?: number; readonly apart?: boolean } = {},
): Promise<Said> {
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: apart,
    timeout: (seconds + PATIENCE) * 1_000,
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
  return shell(argv.map((word) => (word === process.execPath ? "bun" : below(word))));
}

function below(word: string): string {
  return word.startsWith(`${ROOT}/`) ? relative(ROOT, word) : word;
}
