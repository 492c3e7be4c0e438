import { stat } from "node:fs/promises";
import type { Clock } from "sluice/plugin";

/** Milliseconds between two looks. */
const EVERY_MS = 500;

/** What files looked like at one time. */
export type Signatures = ReadonlyMap<string, string>;

/** Looks at files and reports when they have changed and come to rest. */
export interface FileWatcher {
  /** What the watched files look like now; taken before they are read, so that a change meanwhile is seen. */
  signatures(): Promise<Signatures>;
  /** The files to look at from now on. What they looked like in `before`, or else look like now, counts as known. */
  watch(files: readonly string[], before?: Signatures): Promise<void>;
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
    const now = textOf(files, await signaturesOf(files));
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
    signatures: () => signaturesOf(files),
    async watch(next, before) {
      turn++;
      const mine = turn;
      const now = await signaturesOf(next);
      if (mine !== turn) return;
      files = next;
      known = textOf(next, before === undefined ? now : new Map([...now, ...before]));
      last = textOf(next, now);
    },
    look,
    close() {
      turn++;
      files = [];
      stop();
    },
  };
}

async function signaturesOf(files: readonly string[]): Promise<Signatures> {
  const entries = files.map(async (file): Promise<[string, string]> => {
    try {
      const { mtimeMs, size, ino } = await stat(file);
      return [file, `${mtimeMs}/${size}/${ino}`];
    } catch {
      return [file, "absent"];
    }
  });
  return new Map(await Promise.all(entries));
}

function textOf(files: readonly string[], signatures: Signatures): string {
  return files.map((file) => signatures.get(file)).join("|");
}
