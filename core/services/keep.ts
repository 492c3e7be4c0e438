/** State that outlives a reload, shared by the generations that use it and closed with the last of them. */
export interface Keep {
  /** A scope for one generation. */
  scope(): KeepScope;
}

export interface KeepScope {
  /** The value under `key`; made by the first scope that asks for it. @throws Error once it was released */
  keep<T>(key: string, create: () => T, close?: (value: T) => void | Promise<void>): T;
  /** Gives up what this scope uses, the last taken first. Failures to close are handed to `failed`. */
  release(failed: (key: string, error: unknown) => void): Promise<void>;
}

interface Kept {
  readonly value: unknown;
  readonly close: (() => void | Promise<void>) | undefined;
  users: number;
}

export function createKeep(): Keep {
  const all = new Map<string, Kept>();
  return {
    scope() {
      const used = new Set<string>();
      let released = false;
      return {
        keep<T>(key: string, create: () => T, close?: (value: T) => void | Promise<void>): T {
          // Nobody would ever give it up again.
          if (released) throw new Error(`${key} was asked for after its configuration had gone`);
          let kept = all.get(key);
          if (kept === undefined) {
            const value = create();
            kept = { value, close: close === undefined ? undefined : () => close(value), users: 0 };
            all.set(key, kept);
          }
          if (!used.has(key)) {
            used.add(key);
            kept.users++;
          }
          // A key belongs to one call site (one plugin, one purpose), which always keeps the same type under it.
          return kept.value as T;
        },
        async release(failed) {
          released = true;
          const keys = [...used].reverse();
          used.clear();
          for (const key of keys) {
            const kept = all.get(key);
            if (kept === undefined || --kept.users > 0) continue;
            all.delete(key);
            try {
              await kept.close?.();
            } catch (error) {
              failed(key, error);
            }
          }
        },
      };
    },
  };
}
