import { expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeClock } from "sluice/testing";
import { createFileWatcher } from "./watch.ts";

async function setup(): Promise<{
  dir: string;
  file: string;
  looks(n: number): Promise<void>;
  count(): number;
}> {
  const dir = mkdtempSync(join(tmpdir(), "sluice-watch-"));
  const file = join(dir, "a.yaml");
  writeFileSync(file, "one");
  const clock = createFakeClock();
  let changes = 0;
  const watcher = createFileWatcher(clock, () => changes++);
  await watcher.watch([file]);
  return {
    dir,
    file,
    count: () => changes,
    async looks(n) {
      for (let i = 0; i < n; i++) {
        await clock.advance(500);
        await watcher.look();
      }
    },
  };
}

test("a change is reported once, when the file has come to rest", async () => {
  const { dir, file, looks, count } = await setup();
  await looks(3);
  expect(count()).toBe(0);
  writeFileSync(file, "two two");
  await looks(3);
  expect(count()).toBe(1);
  rmSync(dir, { recursive: true });
});

test("a file that an editor replaces is seen", async () => {
  const { dir, file, looks, count } = await setup();
  writeFileSync(`${file}.new`, "two");
  renameSync(`${file}.new`, file);
  await looks(4);
  expect(count()).toBe(1);
  rmSync(dir, { recursive: true });
});

test("a change that came while the files were read is reported", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-watch-"));
  const [file, added] = [join(dir, "a.yaml"), join(dir, "b.yaml")];
  writeFileSync(file, "one");
  writeFileSync(added, "one");
  const clock = createFakeClock();
  let changes = 0;
  const watcher = createFileWatcher(clock, () => changes++);
  await watcher.watch([file]);
  const before = await watcher.signatures();
  writeFileSync(file, "two two");
  await watcher.watch([file, added], before);
  for (let i = 0; i < 4; i++) await watcher.look();
  expect(changes).toBe(1);
  watcher.close();
  rmSync(dir, { recursive: true });
});
