interface Held<T> {
  readonly value: T;
  readonly close: (value: T) => void;
  users: number;
}

/** Things that several users have in common, by key: the first makes one, the last closes it. */
export class Shared<T> {
  readonly #all = new Map<string, Held<T>>();

  get size(): number {
    return this.#all.size;
  }

  /** To be matched by one `release`. */
  acquire(key: string, create: () => T, close: (value: T) => void): T {
    let held = this.#all.get(key);
    if (held === undefined) this.#all.set(key, (held = { value: create(), close, users: 0 }));
    held.users++;
    return held.value;
  }

  release(key: string): void {
    const held = this.#all.get(key);
    if (held === undefined || --held.users > 0) return;
    this.#all.delete(key);
    held.close(held.value);
  }
}
