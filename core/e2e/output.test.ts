import { expect, test } from "bun:test";
import { BINARY, type Ended, runBinary } from "./binary.ts";
import { ROOT } from "./paths.ts";

/* Where the output of the compiled binary goes: pipes, closed ones, a full disk; never colours. */

/** Runs a line of bash in which `$0` is the binary. */
async function shell(line: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = Bun.spawn(["bash", "-c", line, BINARY], {
    cwd: ROOT,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

test("what does not fit into a pipe at once arrives whole", async () => {
  const { stdout } = await shell('"$0" schema | (sleep 0.3; cat)');
  // A pipe of Linux holds as much (pipe(7)).
  expect(stdout.length).toBeGreaterThan(65_536);
  expect(JSON.parse(stdout)).toHaveProperty("$schema");
});

test("a reader that leaves early is no failure", async () => {
  expect(await shell('"$0" schema | head -c 1; echo " ${PIPESTATUS[0]}"')).toEqual({
    code: 0,
    stdout: "{ 0\n",
    stderr: "",
  });
});

test("a full disk is one", async () => {
  const { code, stderr } = await shell('"$0" schema >/dev/full');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^sluice: the output could not be written: ENOSPC\b[^\n]*\n$/);
});

test("closed descriptors do no harm", async () => {
  expect((await shell('"$0" version >&- 2>&- <&-')).code).toBe(0);
  expect((await shell('"$0" nonsense >&- 2>&-')).code).toBe(2);
});

test("no colours without a terminal, whatever the environment says", async () => {
  const env = { FORCE_COLOR: "1", CLICOLOR_FORCE: "1", TERM: "xterm-256color", COLORTERM: "truecolor" };
  const lines = [[], ["help"], ["plugins"], ["version"], ["nonsense"], ["validate", "-c", "nonsense.yaml"]];
  for (const { stdout, stderr } of await Promise.all(lines.map((args) => runBinary(args, ROOT, env)))) {
    expect(stdout + stderr).not.toBe("");
    expect(stdout + stderr).not.toContain("\u001b");
  }
});

test("what the binary is: version, commit, runtime and platform, and its plugins", async () => {
  const { code, stdout } = await runBinary(["version"], "/");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^sluice \d+\.\d+\.\d+ \([0-9a-f]{7,}(-dirty)?, bun \d+\.\d+\.\d+, linux \w+\)\n$/);
  const facts = JSON.parse((await runBinary(["version", "--json"], "/")).stdout) as Record<string, string>;
  expect(facts["commit_date"]).toMatch(/^\d{4}-\d\d-\d\dT/);
  const plugins = (await runBinary(["plugins"], "/")).stdout;
  expect(plugins.match(/^\S+(?=: )/gm)).toEqual(["headers", "request-id", "security-headers"]);
  const one = await runBinary(["plugins", "request-id"], "/");
  expect(plugins).toContain(one.stdout.trimEnd());
  expect(one.stdout).toStartWith("request-id: ");
});
