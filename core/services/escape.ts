/*
 * Characters that make a terminal act or a line look like another one: DEL and the C1 controls (CSI among them), line
 * separators, and marks that turn the direction of text. JSON leaves them as they are. (It escapes the C0 controls.)
 */
const ACTING = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const EVERY_ACTING = new RegExp(ACTING, "g");
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const EVERY_CONTROL = /[\u0000-\u001f]/g;

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A line of JSON that no terminal acts upon; it means the same. */
export function inertJson(line: string): string {
  return ACTING.test(line) ? line.replace(EVERY_ACTING, escaped) : line;
}

/** A text on one line, for people. */
export function inertText(text: string): string {
  return text.replace(EVERY_CONTROL, escaped).replace(EVERY_ACTING, escaped);
}
