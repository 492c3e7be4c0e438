import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

export interface WrkOptions {
  /** On 127.0.0.1. */
  readonly port: number;
  /** `/` unless said otherwise. */
  readonly path?: string;
  readonly connections: number;
  readonly seconds: number;
  /** A file of Lua, as {@link postScript} writes one. */
  readonly script?: string;
  /** Bytes that the body of a right answer has. */
  readonly expectBytesEach: number;
}

/** What a generator that asks as fast as it is answered has done. */
export interface Throughput {
  readonly requests: number;
  /** That it took, by the generator's clock. */
  readonly seconds: number;
  readonly command: string;
}

const UNITS: { readonly [unit: string]: number } = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/**
 * Runs wrk with one thread. Throws with what wrk said where an answer was 4xx or 5xx, a connection failed, or nothing was
 * answered; and where fewer bytes came than the bodies alone of so many right answers have: wrk takes 3xx for right, and
 * looks at no body.
 */
export async function runWrk({
  port,
  path = "/",
  connections,
  seconds,
  script,
  expectBytesEach,
}: WrkOptions): Promise<Throughput> {
  const scripted = script === undefined ? [] : ["-s", script];
  const url = `http://127.0.0.1:${port}${path}`;
  const argv = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, ...scripted, url];
  const { stdout, stderr, exitCode, command } = await runProgram(argv, { seconds });
  const requests = Number(/^\s*(\d+) requests in /m.exec(stdout)?.[1] ?? 0);
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(stdout)?.[1] ?? 0);
  const wrong = /Non-2xx or 3xx responses: .*|Socket errors: .*/.exec(stdout)?.[0];
  if (exitCode !== 0 || requests === 0 || perSecond === 0 || wrong !== undefined) {
    throw new Error(`${command}: ${wrong ?? `${stdout}${stderr}`}`);
  }
  const [, size, unit] = /requests in .*, ([\d.]+)([KMGT]?)B read$/m.exec(stdout) ?? [];
  // wrk says it with two decimals.
  const read = (Number(size) + 0.005) * (UNITS[unit ?? ""] ?? Number.NaN);
  if (!(read >= requests * expectBytesEach))
    throw new Error(`${command}: ${size}${unit}B in ${requests} answers of ${expectBytesEach} bytes`);
  return { requests, seconds: requests / perSecond, command };
}

/** Writes a script for wrk that posts `body` each time. @returns its path, in `dir` */
export function postScript(dir: string, body: Uint8Array, contentType: string): string {
  const file = join(dir, "post.body");
  writeFileSync(file, body);
  const script = join(dir, "post.lua");
  writeFileSync(
    script,
    `local file = assert(io.open(${JSON.stringify(file)}, "rb"))
wrk.method = "POST"
wrk.headers["content-type"] = ${JSON.stringify(contentType)}
wrk.body = file:read("*a")
file:close()
`,
  );
  return script;
}
