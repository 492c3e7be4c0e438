import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Launch } from "../peer.ts";
import { ProcessTree } from "./process-tree.ts";

/** Milliseconds that a program may take to answer rightly for the first time, and to end when it is asked to. */
const START = 20_000;
const STOP = 5_000;

/** A program that was started and answers rightly. */
export interface Running extends AsyncDisposable {
  readonly processes: ProcessTree;
  /** Milliseconds from its start to its first right answer. */
  readonly startedIn: number;
  /** Throws where the program has ended: then who answers is somebody else. */
  expectAlive(): void;
}

/**
 * Starts a program in a directory of its own, its output in files there, and asks until the answer is right.
 * Rejects with what it said where it ends before, or with what was wrong with its answers at last.
 */
export async function start(launch: Launch, dir: string, check: () => Promise<unknown>): Promise<Running> {
  mkdirSync(dir, { recursive: true });
  for (const [name, content] of Object.entries(launch.files ?? {})) writeFileSync(join(dir, name), content);
  const stdout = openSync(join(dir, "stdout.log"), "w");
  const stderr = openSync(join(dir, "stderr.log"), "w");
  const begun = performance.now();
  const child = Bun.spawn([...launch.command], {
    cwd: dir,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: dir, ...launch.env },
    stdin: "ignore",
    stdout,
    stderr,
  });
  closeSync(stdout);
  closeSync(stderr);
  const running = {
    processes: new ProcessTree(child.pid),
    startedIn: 0,
    expectAlive() {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it ended (${child.signalCode ?? `exit code ${child.exitCode}`})`);
    },
    async [Symbol.asyncDispose]() {
      await stop(child, running.processes);
    },
  };
  try {
    await answering(child, begun, check);
    running.startedIn = performance.now() - begun;
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    const said = readFileSync(join(dir, "stderr.log"), "utf8").slice(-2_000);
    throw new Error(`${launch.command.join(" ")}: ${String(error)}\n${said}`, { cause: error });
  }
}

async function answering(child: Bun.Subprocess, begun: number, check: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`ended with ${child.signalCode ?? `exit code ${child.exitCode}`}`, { cause: error });
      if (performance.now() - begun > START) throw error;
      await Bun.sleep(1);
    }
  }
}

async function stop(child: Bun.Subprocess, processes: ProcessTree): Promise<void> {
  const all = processes.pids();
  child.kill("SIGTERM");
  const ended = await Promise.race([child.exited.then(() => true), Bun.sleep(STOP).then(() => false)]);
  if (ended) return;
  for (const pid of all) endNow(pid);
  await child.exited;
}

export function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
