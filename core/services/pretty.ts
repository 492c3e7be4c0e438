const COLOURS: Readonly<Record<string, string>> = {
  debug: "\x1b[90m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};

/** One JSON log line as a line for people: time, level, message, then the fields. */
export function prettyLine(line: string): string {
  const fields: unknown = JSON.parse(line);
  if (typeof fields !== "object" || fields === null) return line;
  const { time, level, msg, ...rest } = fields as Record<string, unknown>;
  const clockTime = typeof time === "string" ? time.slice(11, 23) : "";
  const name = typeof level === "string" ? level : "info";
  const details = Object.entries(rest).map(([key, value]) => `${key}=${show(value)}`);
  return `${clockTime} ${COLOURS[name] ?? ""}${name.padEnd(5)}\x1b[0m ${String(msg)} ${details.join(" ")}\n`;
}

function show(value: unknown): string {
  if (typeof value === "string") return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
  if (typeof value === "object" && value !== null && "stack" in value && typeof value.stack === "string")
    return `\n    ${value.stack.replaceAll("\n", "\n    ")}`;
  return JSON.stringify(value);
}
