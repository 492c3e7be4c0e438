/** What became of a case. */
export interface CaseRow {
  /** To be called when all that the case claims was seen. @param cells what was measured, behind the others */
  passed(...cells: readonly string[]): void;
}

/**
 * The cases of a test file as a table for its output: a row for each that ran, which says FAILED until its case
 * came to its end, and totals by the first column.
 */
export class CaseTable {
  readonly #title: string;
  readonly #columns: readonly string[];
  readonly #rows: { cells: readonly string[]; isOk: boolean }[] = [];

  /** @param columns their headings; the first is the group */
  constructor(title: string, ...columns: readonly string[]) {
    this.#title = title;
    this.#columns = columns;
  }

  /** @param cells as many as there are columns, or fewer where `passed` adds the rest */
  begin(...cells: readonly string[]): CaseRow {
    const row = { cells, isOk: false };
    this.#rows.push(row);
    return {
      passed(...more) {
        row.cells = [...cells, ...more];
        row.isOk = true;
      },
    };
  }

  toString(): string {
    const rows = this.#rows.map(({ cells, isOk }) => [
      ...this.#columns.map((_, i) => cells[i] ?? "-"),
      isOk ? "ok" : "FAILED",
    ]);
    return `\n${this.#title}\n${aligned([[...this.#columns, "ok"], ...rows])}${this.#totals()}\n`;
  }

  #totals(): string {
    const groups = new Map<string, [good: number, all: number]>();
    for (const { cells, isOk } of this.#rows) {
      const [good, all] = groups.get(cells[0]!) ?? [0, 0];
      groups.set(cells[0]!, [good + Number(isOk), all + 1]);
    }
    const each = Array.from(groups, ([group, [good, all]]) => `${group} ${good}/${all}`);
    const good = this.#rows.filter(({ isOk }) => isOk).length;
    return `${good} of ${this.#rows.length} ok: ${each.join(", ")}`;
  }
}

/** Lines whose cells stand below each other, each ended by a line feed. Every row has as many cells as the first. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((cells) => cells[i]!.length)));
  const lineOf = (cells: readonly string[]): string =>
    cells.map((cell, i) => cell.padEnd(widths[i]!)).join("  ");
  return rows.map((cells) => `${lineOf(cells).trimEnd()}\n`).join("");
}
