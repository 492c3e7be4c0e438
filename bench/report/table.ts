/** A cell of one piece, or of pieces that are aligned each for itself: a median and its range. */
export type Cell = string | readonly string[];

export interface Column {
  readonly title: string;
  /** Text is aligned to the left. Without it, to the right, as figures are. */
  readonly text?: true;
}

type Row = readonly Cell[];

/** A Markdown table whose columns are aligned in its source as well. */
export function markdownTable(columns: readonly Column[], rows: readonly Row[]): string {
  const lines = aligned(
    columns.map((column) => ({ ...column, title: inCell(column.title) })),
    rows.map((row) => row.map((cell) => pieces(cell).map(inCell))),
  );
  const rule = columns.map(({ text }, i) => {
    const width = length(lines[0]?.[i] ?? "");
    return text ? "-".repeat(width) : `${"-".repeat(width - 1)}:`;
  });
  return [lines[0] ?? [], rule, ...lines.slice(1)].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** The same for a terminal. */
export function plainTable(columns: readonly Column[], rows: readonly Row[]): string {
  return aligned(columns, rows)
    .map((line) => line.join("  ").trimEnd())
    .join("\n");
}

/** Text that stays in its cell. */
function inCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
}

const pieces = (cell: Cell | undefined): readonly string[] =>
  cell === undefined ? [] : typeof cell === "string" ? [cell] : cell;

function length(text: string): number {
  return Bun.stringWidth(text);
}

function aligned(columns: readonly Column[], rows: readonly Row[]): string[][] {
  const padded = columns.map(({ title, text }, i) => {
    const pad = (piece: string, width: number): string => {
      const blank = " ".repeat(Math.max(0, width - length(piece)));
      return text ? piece + blank : blank + piece;
    };
    const cells = rows.map((row) => pieces(row[i]));
    const count = Math.max(0, ...cells.map((cell) => cell.length));
    const widths = Array.from({ length: count }, (_, n) => widest(cells.map((cell) => cell[n] ?? "")));
    const joined = cells.map((cell) =>
      widths.flatMap((width, n) => (width === 0 ? [] : [pad(cell[n] ?? "", width)])).join(" "),
    );
    // Three, for the rule below the title.
    const width = Math.max(3, widest([title, ...joined]));
    return [title, ...joined].map((cell) => pad(cell, width));
  });
  return Array.from({ length: rows.length + 1 }, (_, line) => padded.map((column) => column[line] ?? ""));
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(length));
}
