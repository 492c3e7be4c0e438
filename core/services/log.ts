import pino from "pino";
import type { Clock, Log } from "sluice/plugin";
import { inertJson } from "./escape.ts";
import { isoTime } from "./iso-time.ts";
import { masked } from "./mask.ts";
import { prettyLine } from "./pretty.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where lines go: stdout in the binary, memory in tests. */
export interface LogSink {
  /** `urgent` lines go out at once; the others when enough of them have come together, or after a moment. */
  write(line: string, urgent: boolean): void;
  /** Writes what is held back; resolves once it is out, or nobody reads it. */
  close(): Promise<void>;
  /** Lines that nobody took, so far. @default none are dropped */
  readonly dropped?: number;
  /** Set by the log: called when lines are taken again, with the number of those that were dropped meanwhile. */
  onResumed?: (dropped: number) => void;
}

export interface LogOptions {
  level: LogLevel;
  format: "json" | "pretty";
  /** Names whose values are masked beside the built-in ones; lower-case. */
  redact: readonly string[];
}

/** The process's log. `child` binds fields; `configure` takes effect for every child at once. */
export interface RootLog extends Log {
  child(bindings: Readonly<Record<string, string>>): Log;
  configure(options: LogOptions): void;
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
  /** A line that is already JSON that no terminal acts upon, without its newline; for the access log. */
  raw(line: string): void;
  /** Whether the operator asked for the values of a header or query parameter to be masked; lower-case. */
  redacts(name: string): boolean;
  /** Lines that were dropped because nobody read them. */
  readonly dropped: number;
  /** Resolves once every line is out, or nobody reads them. */
  close(): Promise<void>;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** The keys of every line; a field of such a name would stand in the line twice. */
const RESERVED: ReadonlySet<string> = new Set(["level", "time", "msg"]);

/** A log over `sink`; JSON lines by pino, or lines for people. */
export function createLog(sink: LogSink, clock: Clock, options: LogOptions): RootLog {
  let format = options.format;
  let redact: ReadonlySet<string> = new Set(options.redact);
  const emit = (line: string, urgent: boolean): void =>
    sink.write(format === "json" ? inertJson(line) : prettyLine(line), urgent);
  const logger = pino(
    {
      base: null,
      level: options.level,
      timestamp: () => `,"time":"${isoTime(clock.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are plain data by then, causes included; the library's own form would lose their type.
      serializers: { err: (described: unknown) => described },
    },
    { write: (line: string) => emit(line, true) },
  );

  const at =
    (bindings: Readonly<Record<string, string>>, level: LogLevel) =>
    (fields: object, message: string): void => {
      if (!logger.isLevelEnabled(level)) return;
      logger[level](lineFields(bindings, fields, redact), wordsOf(message));
    };
  const bind = (bindings: Readonly<Record<string, string>>): Log => ({
    debug: at(bindings, "debug"),
    info: at(bindings, "info"),
    warn: at(bindings, "warn"),
    error: at(bindings, "error"),
  });
  const setLevel = (level: LogLevel): void => {
    logger.level = level;
  };

  sink.onResumed = (dropped) =>
    logger.warn({ dropped }, "log lines were dropped, nobody read them for a while");

  return {
    ...bind({}),
    child: bind,
    configure(next) {
      format = next.format;
      redact = new Set(next.redact);
      setLevel(next.level);
    },
    get level() {
      return LEVELS.find((level) => level === logger.level) ?? "info";
    },
    setLevel,
    raw(line) {
      sink.write(format === "json" ? `${line}\n` : prettyLine(`${line}\n`), false);
    },
    redacts: (name) => redact.has(name),
    get dropped() {
      return sink.dropped ?? 0;
    },
    close: () => sink.close(),
  };
}

/** The message, or what a plugin in JavaScript gave for one. */
function wordsOf(message: unknown): string {
  const words = masked(message);
  return typeof words === "string" ? words : (JSON.stringify(words) ?? "");
}

/** What a line says beside its level, time and message. Bindings come first, and no field takes their place. */
function lineFields(
  bindings: Readonly<Record<string, string>>,
  fields: unknown,
  redact: ReadonlySet<string>,
): Record<string, unknown> {
  const line: Record<string, unknown> = { ...bindings };
  const copy = masked(fields instanceof Error ? { err: fields } : fields, redact);
  // A plugin in JavaScript may pass anything.
  const isPlain = typeof copy === "object" && copy !== null && !Array.isArray(copy);
  if (!isPlain && copy !== undefined) line["value"] = copy;
  for (const [key, value] of isPlain ? Object.entries(copy) : [])
    line[RESERVED.has(key) || Object.hasOwn(line, key) ? `${key}_` : key] = value;
  return line;
}
