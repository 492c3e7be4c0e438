import { HeaderList } from "./headers.ts";

/**
 * Fields that are known at set-up, for many messages: checked once, and looked up by name. To be made in `setup` and
 * given to {@link HeaderList.addMissing}, {@link HeaderList.setAll} and {@link HeaderList.deleteAll}.
 */
export class FixedHeaders {
  /** Name, value, name, value …; names are lower-case, each is there once. */
  readonly flat: readonly string[];
  readonly names: ReadonlySet<string>;

  /** Of fields that come twice the last one counts. @throws TypeError on an illegal name or value. */
  constructor(pairs: Iterable<readonly [name: string, value: string]>) {
    const list = new HeaderList();
    for (const [name, value] of pairs) list.set(name, value);
    this.flat = list.flat;
    this.names = new Set(Array.from(list, ([name]) => name));
  }
}
