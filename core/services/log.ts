import pino from "pino";
import type { Clock, Log } from "sluice/plugin";
import { masked } from "./mask.ts";
import { prettyLine } from "./pretty.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where lines go: stdout in the binary, memory in tests. */
export interface LogSink {
  /** `urgent` lines go out at once; the others when enough of them have come together, or after a moment. */
  write(line: string, urgent: boolean): void;
  /** Writes what is held back; resolves once it is out, or nobody reads it. */
  close(): Promise<void>;
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
  /** A line that is already JSON, without its newline; for the access log. */
  raw(line: string): void;
  /** Resolves once every line is out, or nobody reads them. */
  close(): Promise<void>;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** A log over `sink`; JSON lines by pino, or lines for people. */
export function createLog(sink: LogSink, clock: Clock, options: LogOptions): RootLog {
  let format = options.format;
  let redact: ReadonlySet<string> = new Set(options.redact);
  const emit = (line: string, urgent: boolean): void =>
    sink.write(format === "json" ? line : prettyLine(line), urgent);
  const logger = pino(
    {
      base: null,
      level: options.level,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => emit(line, true) },
  );

  const at =
    (bindings: Readonly<Record<string, string>>, level: LogLevel) =>
    (fields: object, message: string): void => {
      if (!logger.isLevelEnabled(level)) return;
      logger[level]({ ...bindings, ...(masked(fields, redact) as object) }, message);
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
      emit(`${line}\n`, false);
    },
    close: () => sink.close(),
  };
}
