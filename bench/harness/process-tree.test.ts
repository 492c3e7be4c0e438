import { expect, test } from "bun:test";
import { ProcessTree } from "./process-tree.ts";

test("counts what children use, those that have ended too", async () => {
  const burn = "let x = 0; for (let i = 0; i < 3e8; i++) x += i % 7;";
  // One child ends before, one lives; the parent does nothing itself.
  const script = `
    const burn = [process.execPath, "-e", ${JSON.stringify(burn)}];
    Bun.spawnSync(burn);
    const child = Bun.spawn([process.execPath, "-e", ${JSON.stringify(`${burn} process.stdout.write("."); process.stdin.resume();`)}], { stdin: "pipe", stdout: "pipe" });
    await child.stdout.getReader().read();
    console.log("burnt");
    process.stdin.on("end", () => { child.stdin.end(); process.exit(); }).resume();
  `;
  await using stack = new AsyncDisposableStack();
  const parent = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
  stack.defer(async () => {
    void parent.stdin.end();
    await parent.exited;
  });
  const tree = new ProcessTree(parent.pid);
  const own = new ProcessTree(process.pid);
  await parent.stdout.getReader().read();
  const [first, second] = tree.pids();
  expect(first).toBe(parent.pid);
  const lives = new ProcessTree(second!);
  expect(lives.cpuSeconds()).toBeGreaterThan(0.05);
  // Twice the same work, of which the parent sees both.
  expect(tree.cpuSeconds()).toBeGreaterThan(lives.cpuSeconds() * 1.3);
  // Both run one program: what they share of it counts once.
  expect(tree.residentMb()).toBeGreaterThan(5);
  expect(tree.residentMb()).toBeLessThan(2 * lives.residentMb());
  expect(own.pids()).toContain(parent.pid);
}, 30_000);

test("a process that has gone has nothing", async () => {
  const child = Bun.spawn(["true"]);
  await child.exited;
  const tree = new ProcessTree(child.pid);
  expect([tree.cpuSeconds(), tree.residentMb()]).toEqual([0, 0]);
});
