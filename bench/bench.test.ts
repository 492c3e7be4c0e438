import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { BINARY } from "../core/e2e/binary.ts";
import { ROOT } from "../core/e2e/paths.ts";
import { temporaryDir } from "../core/testing/temporary-dir.ts";
import { ProcessTree } from "./harness/process-tree.ts";
import { runProgram } from "./load/run-program.ts";
import { readResults } from "./report/read-results.ts";

const run = (...args: string[]) => runProgram([process.execPath, join(ROOT, "bench/run.ts"), ...args]);

/** Takes sluice's arguments and answers everything with an error, quickly. */
const LIAR = `#!${process.execPath}
const port = /address: "127\\.0\\.0\\.1:(\\d+)"/.exec(await Bun.file("sluice.yaml").text())[1];
let answers = 0;
Bun.serve({
  hostname: "127.0.0.1",
  port,
  // Right at first: its start and the look before the first round go well.
  fetch: () => (answers++ < 2 ? new Response("x".repeat(1024)) : new Response("no", { status: 503 })),
});
`;

test("a run writes a report of who took part, and leaves out who answers wrongly", async () => {
  using dir = temporaryDir({ liar: LIAR });
  await Bun.$`chmod +x ${join(dir.path, "liar")}`.quiet();
  const out = join(dir.path, "results");
  const { stderr, exitCode } = await run(
    ...["--quick", "--rounds=1", "--warm-up=1", "--scenario=get-1k", "--peer=nginx"],
    ...[`--sluice=${BINARY}`, `--out=${out}`, `liar=${join(dir.path, "liar")}`],
  );
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const { scenarios, machine } = await readResults(out);
  expect(machine.cores).toBeGreaterThan(0);
  const [{ contenders, cases }] = scenarios as [(typeof scenarios)[0]];
  expect(contenders.map(({ name, failure }) => [name, failure !== undefined])).toEqual([
    ["direct", false],
    ["sluice", false],
    ["liar", true],
    ["nginx", false],
  ]);
  expect(contenders[2]!.failure).toContain("Non-2xx");
  for (const { runs } of cases)
    for (const name of ["direct", "sluice", "nginx"]) {
      const [sample] = runs[name]!.samples;
      expect(sample!.throughput).toBeGreaterThan(0);
      expect((sample!.cpu ?? 0) > 0).toBe(name !== "direct");
    }
  const report = await Bun.file(join(out, "report.md")).text();
  expect(report).toContain("wrk -t1 -c64");
  expect(report).toContain("liar");
  expect(await Bun.file(join(out, "chart.svg")).text()).toStartWith("<svg");
}, 60_000);

test("a fresh process for each round: its start, its memory", async () => {
  using dir = temporaryDir();
  const { stderr, exitCode } = await run(
    ...["--rounds=2", "--seconds=1", "--scenario=footprint,streams", "--peer=nginx"],
    ...[`--sluice=${BINARY}`, `--out=${dir.path}`],
  );
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const { scenarios } = await readResults(dir.path);
  const samples = scenarios.map(({ cases }) => cases[0]!.runs["sluice"]!.samples);
  expect(samples.map(({ length }) => length)).toEqual([2, 2]);
  for (const sample of samples[0]!) {
    expect(sample.start).toBeGreaterThan(1);
    expect(sample.idle).toBeGreaterThan(10);
    expect(sample.perConnection).toBeGreaterThan(0);
  }
  for (const sample of samples[1]!) expect(sample.perStream).toBeGreaterThan(0);
}, 60_000);

test("ended in the middle, it leaves no process and no file behind", async () => {
  using dir = temporaryDir();
  const child = Bun.spawn(
    [
      ...[process.execPath, join(ROOT, "bench/run.ts"), "--warm-up=1", "--seconds=30", "--scenario=latency"],
      ...["--peer=nginx", `--sluice=${BINARY}`, `--out=${join(dir.path, "out")}`],
    ],
    { env: { ...process.env, TMPDIR: dir.path }, stdout: "ignore", stderr: "pipe" },
  );
  const said = child.stderr.getReader();
  // Its first line: all contenders run, and the first load begins.
  expect(Buffer.from((await said.read()).value ?? []).toString()).toContain("round 1 of");
  const tree = new ProcessTree(child.pid);
  let all: readonly number[] = [];
  // The origin, sluice, nginx with its worker; and the generator, in a session of its own.
  for (const until = performance.now() + 10_000; all.length < 6 && performance.now() < until;) {
    await Bun.sleep(10);
    all = tree.pids();
  }
  expect(all.length).toBeGreaterThanOrEqual(6);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  const left = () => all.filter((pid) => new ProcessTree(pid).residentMb() > 0);
  for (const until = performance.now() + 5_000; left().length > 0 && performance.now() < until;)
    await Bun.sleep(10);
  expect(left()).toEqual([]);
  expect(readdirSync(dir.path)).toEqual([]);
}, 60_000);

test("what it is told wrongly it says, and measures nothing", async () => {
  for (const [args, words] of [
    [["--scenario=nonsense"], "no scenario called nonsense; there are"],
    [["--peer=apache"], "no peer called apache; there are direct, sluice, caddy, haproxy, nginx"],
    [["--rounds=0"], "--rounds=0"],
    [["--seconds=0.5"], "--seconds=0.5: not a whole number of seconds"],
    [[`nginx=${BINARY}`], "nginx=…: there is a peer of this name"],
    [["old=/nowhere/sluice"], "/nowhere/sluice: no such file"],
    [["old"], "old: not NAME=BINARY"],
  ] as const) {
    const { stderr, exitCode } = await run(...args, `--sluice=${BINARY}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(words);
  }
});
