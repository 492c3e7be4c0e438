import { stat } from "node:fs/promises";
import type { Clock } from "sluice/plugin";

/** Milliseconds between two looks. */
const EVERY_MS = 500;

/** Looks at files and reports when they have changed and come to rest. */
export interface FileWatcher {
  /** The files to look at from now on; what they look like now counts as known. */
  watch(files: readonly string[]): Promise<void>;
  /** Looks now instead of at the next turn; a look under way is awaited. */
  look(): Promise<void>;
  close(): void;
}

/**
 * Polls modification time, size and inode: that sees editors that replace files, the symlink swaps of mounted
 * secrets, and network file systems, where change notifications do not. A change is reported once two looks in a
 * row see the same state, so that a half-written file is not read.
 */
export function createFileWatcher(clock: Clock, changed: () => void): FileWatcher {
  let files: readonly string[] = [];
  let known = "";
  let last = "";
  let looking: Promise<void> | undefined;
  let turn = 0;

  const look = (): Promise<void> => {
    looking ??= compare().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const compare = async (): Promise<void> => {
    if (files.length === 0) return;
    const mine = turn;
    const now = await signature(files);
    // `watch` was called meanwhile: this look belongs to the past.
    if (mine !== turn) return;
    const atRest = now === last;
    last = now;
    if (now === known || !atRest) return;
    known = now;
    changed();
  };
  const stop = clock.setInterval(() => void look(), EVERY_MS);

  return {
    async watch(next) {
      turn++;
      const mine = turn;
      const now = await signature(next);
      if (mine !== turn) return;
      files = next;
      known = now;
      last = now;
    },
    look,
    close() {
      turn++;
      files = [];
      stop();
    },
  };
}

async function signature(files: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    files.map(async (file) => {
      try {
        const { mtimeMs, size, ino } = await stat(file);
        return `${mtimeMs}/${size}/${ino}`;
      } catch {
        return "absent";
      }
    }),
  );
  return parts.join("|");
}
