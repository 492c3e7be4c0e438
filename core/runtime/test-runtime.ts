import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnyPlugin } from "sluice/plugin";
import { createFakeClock, createSeededRandom, type FakeClock } from "sluice/testing";
import { formatProblem } from "../../config/index.ts";
import type { ReloadResult } from "../admin/source.ts";
import { RawClient } from "../http1/test-server.ts";
import { createLog, type LogSink } from "../services/log.ts";
import { loadConfig } from "./load.ts";
import { type Runtime, StartError, startRuntime } from "./runtime.ts";

/*
 * A whole gateway in the test's process: a configuration file in a directory of its own, free ports, a clock that
 * stands still, and the log lines in memory.
 */

export type LogLine = Readonly<Record<string, unknown>>;

export interface TestRuntimeOptions {
  /** Takes the place of built-in plugins. */
  readonly plugins?: readonly AnyPlugin[];
  /** Beside the configuration. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs between the reading of the configuration and the start. */
  readonly loaded?: (dir: string) => void;
  /** Log lines that nobody took. */
  readonly dropped?: () => number;
  /** The process's limit of open files. @default plenty */
  readonly openFiles?: number;
}

export interface TestRuntime extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly clock: FakeClock;
  readonly dir: string;
  /** Every log line so far, parsed. */
  readonly lines: readonly LogLine[];
  /** The same as text, without newlines. */
  readonly texts: readonly string[];
  /** `127.0.0.1:PORT` of the n-th gateway listener, as the log named it at the start. */
  address(n?: number): string;
  /** `127.0.0.1:PORT` of the admin listener. */
  readonly admin: string;
  /** `fetch` from the first gateway listener. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** `fetch` from the admin listener. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** A connection that sends `text` as it is, to `address`: `127.0.0.1:PORT`. */
  connect(address: string, text?: string): Promise<RawClient>;
  /** The first line, past or to come, for which `matches` holds. */
  line(matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** Lines of finished requests. */
  readonly requests: readonly LogLine[];
  /** The line of the `count`-th finished request, from 1. */
  request(count: number): Promise<LogLine>;
  write(name: string, content: string): void;
  /** Writes the configuration, and reloads it. */
  reload(yaml: string): Promise<ReloadResult>;
  /** Lets time pass, 20 ms a turn of the event loop, until `work` is over. */
  during<T>(work: Promise<T>): Promise<T>;
  /** The metrics' text. */
  metrics(): Promise<string>;
}

/** Starts a gateway. @throws Error with every problem of the configuration, or StartError */
export async function testRuntime(yaml: string, options: TestRuntimeOptions = {}): Promise<TestRuntime> {
  const dir = mkdtempSync(join(tmpdir(), "sluice-runtime-"));
  const write = (name: string, content: string): void => writeFileSync(join(dir, name), content);
  for (const [name, content] of Object.entries(options.files ?? {})) write(name, content);
  write("sluice.yaml", yaml);

  const clock = createFakeClock();
  const texts: string[] = [];
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  const sink: LogSink = {
    write(text) {
      texts.push(text.trimEnd());
      lines.push(JSON.parse(text) as LogLine);
      for (const look of waiting) look();
    },
    close: () => Promise.resolve(),
    get dropped() {
      return options.dropped?.() ?? 0;
    },
  };
  const line = (matches: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = lines.find(matches);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });

  const file = join(dir, "sluice.yaml");
  const env = options.env ?? {};
  const builtins = options.plugins ?? [];
  let runtime: Runtime;
  try {
    const outcome = await loadConfig(file, env, builtins);
    if (!outcome.ok)
      throw new Error(outcome.problems.map((problem) => formatProblem(problem, dir)).join("\n"));
    options.loaded?.(dir);
    const log = createLog(sink, clock, outcome.loaded.config.log);
    const random = createSeededRandom(1);
    const openFiles = options.openFiles ?? 1_000_000;
    runtime = await startRuntime({ file, env, builtins, clock, random, log, openFiles }, outcome.loaded);
  } catch (error) {
    rmSync(dir, { recursive: true });
    throw error;
  }

  const addressOf = (role: string, n = 0): string => {
    const found = lines.filter((one) => one["msg"] === "listening" && one["role"] === role)[n];
    if (found === undefined) throw new Error(`there is no listener ${n} of the ${role}`);
    return String(found["address"]);
  };
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    const mark = (): void => void (over = true);
    work.then(mark, mark);
    while (!over) await clock.advance(20);
    return work;
  };
  const requests = (): LogLine[] => lines.filter((one) => one["msg"] === "request");
  const ask = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://${addressOf("admin")}${path}`, init);

  return {
    ...{ runtime, clock, dir, lines, texts, line, write, during, ask },
    address: (n) => addressOf("gateway", n),
    get admin() {
      return addressOf("admin");
    },
    fetch: (path, init) => fetch(`http://${addressOf("gateway")}${path}`, { redirect: "manual", ...init }),
    connect: (address, text) => RawClient.connect(Number(/\d+$/.exec(address)?.[0]), text),
    get requests() {
      return requests();
    },
    async request(count) {
      await line(() => requests().length >= count);
      return requests()[count - 1]!;
    },
    reload(next) {
      write("sluice.yaml", next);
      return runtime.reload("test");
    },
    async metrics() {
      return (await ask("/metrics")).text();
    },
    async [Symbol.asyncDispose]() {
      const stopped = runtime.shutdown();
      runtime.cutNow();
      await during(stopped);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The problems that a gateway refuses to start with, as `message` or `path: message` at `line:column`. */
export async function startProblems(yaml: string, options: TestRuntimeOptions = {}): Promise<string[]> {
  try {
    await using _ = await testRuntime(yaml, options);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    if (error.problems.length === 0) return [error.message];
    return error.problems.map(
      ({ place, path, message }) => `${place.line}:${place.column}: ${path}: ${message}`,
    );
  }
  throw new Error("it started");
}

/** A configuration with one gateway listener and an admin listener, both on free ports of the loopback. */
export function yamlOf(body: string, admin = "{ address: 127.0.0.1:0 }"): string {
  return `version: 1\nlisteners: [{ address: 127.0.0.1:0, probes: { live: /live, ready: /ready } }]\nadmin: ${admin}\n${body}`;
}
