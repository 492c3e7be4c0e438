import { inertText } from "./escape.ts";

const COLOURS: Readonly<Record<string, string>> = {
  debug: "\x1b[90m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};

/** One JSON log line as a line for people: time, level, message, then the fields. Only a stack has lines of its own. */
export function prettyLine(line: string): string {
  const fields: unknown = JSON.parse(line);
  if (typeof fields !== "object" || fields === null) return line;
  const { time, level, msg, ...rest } = fields as Record<string, unknown>;
  const clockTime = typeof time === "string" ? time.slice(11, 23) : "";
  const name = typeof level === "string" ? level : "info";
  const details = Object.entries(rest).map(([key, value]) => `${inertText(key)}=${show(value)}`);
  return `${clockTime} ${COLOURS[name] ?? ""}${name.padEnd(5)}\x1b[0m ${inertText(String(msg))} ${details.join(" ")}\n`;
}

function show(value: unknown): string {
  if (typeof value === "string") return inertText(/[\s"=]/.test(value) ? JSON.stringify(value) : value);
  if (typeof value !== "object" || value === null) return String(value);
  const { stack, ...rest } = value as Record<string, unknown>;
  if (typeof stack !== "string") return inertText(JSON.stringify(value));
  const lines = stack.split("\n").map((one) => `\n    ${inertText(one)}`);
  // Name and message are the stack's first line.
  const { type: _, message: __, ...more } = rest;
  const details = Object.keys(more).length === 0 ? "" : inertText(JSON.stringify(more));
  return details + lines.join("");
}
