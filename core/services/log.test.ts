import { expect, test } from "bun:test";
import { createFakeClock } from "sluice/testing";
import { inertJson } from "./escape.ts";
import { createLog, type LogOptions, type LogSink, type RootLog } from "./log.ts";

interface TestLog {
  readonly log: RootLog;
  readonly texts: string[];
  readonly urgent: boolean[];
  readonly sink: LogSink;
  /** The last line, parsed. */
  last(): Record<string, unknown>;
}

function testLog(options: Partial<LogOptions> = {}): TestLog {
  const texts: string[] = [];
  const urgent: boolean[] = [];
  const sink: LogSink = {
    write(line, isUrgent) {
      texts.push(line);
      urgent.push(isUrgent);
    },
    close: () => Promise.resolve(),
  };
  const log = createLog(sink, createFakeClock(), { level: "info", format: "json", redact: [], ...options });
  return { log, texts, urgent, sink, last: () => JSON.parse(texts.at(-1)!) as Record<string, unknown> };
}

test("a line is one JSON object: level, time, fields, message", () => {
  const { log, texts } = testLog();
  log.warn({ a: 1, list: ["x"] }, "hello");
  expect(texts).toEqual([
    '{"level":"warn","time":"2023-11-14T22:13:20.000Z","a":1,"list":["x"],"msg":"hello"}\n',
  ]);
});

test("lines below the level are not written; a new level holds for children that exist", () => {
  const { log, texts } = testLog({ level: "warn" });
  const child = log.child({ plugin: "p" });
  log.info({}, "no");
  child.debug({}, "no");
  expect(texts).toEqual([]);
  expect(log.level).toBe("warn");
  log.setLevel("debug");
  child.debug({}, "yes");
  log.configure({ level: "error", format: "json", redact: [] });
  child.warn({}, "no");
  child.error({}, "yes");
  expect(texts.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(["debug", "error"]);
});

test("a child's fields come first, and no field takes their place or that of level, time and message", () => {
  const { log, texts, last } = testLog();
  log
    .child({ plugin: "mine", step: "s" })
    .info({ plugin: "other", level: "error", time: 0, msg: "spoofed", x: 1 }, "true");
  expect(last()).toEqual({
    ...{ level: "info", time: "2023-11-14T22:13:20.000Z", plugin: "mine", step: "s" },
    ...{ plugin_: "other", level_: "error", time_: 0, msg_: "spoofed", x: 1, msg: "true" },
  });
  expect(texts[0]!.match(/"(level|time|msg|plugin)":/g)).toHaveLength(4);
});

test("secrets and the names of `redact` are masked, and a reload's names count at once", () => {
  const { log, texts } = testLog({ redact: ["x-first"] });
  log.info({ "X-First": "HIDE", headers: { authorization: "HIDE", cookie: "HIDE" }, apiKey: "HIDE" }, "m");
  log.info({ url: "http://h/?q=HIDE" }, "asked http://h/?q=HIDE");
  log.configure({ level: "info", format: "json", redact: ["x-second"] });
  log.child({}).info({ deep: { "x-second": "HIDE" } }, "m");
  expect(texts.join("")).not.toContain("HIDE");
});

test("an error has its type, its message and its cause", () => {
  const { log, last } = testLog();
  log.error({ err: new TypeError("outer", { cause: new RangeError("inner") }) }, "failed");
  expect(last()["err"]).toMatchObject({
    ...{ type: "TypeError", message: "outer" },
    cause: { type: "RangeError", message: "inner" },
  });
  log.error(new TypeError("as fields"), "failed");
  expect(last()["err"]).toMatchObject({ type: "TypeError", message: "as fields" });
});

test("one line stays one line, and nothing in it acts on a terminal", () => {
  const evil = 'a\nb\r\n{"level":"error"}\x1b[2J\x00\x7f\u009b2J\u2028\u202e\ud800';
  for (const format of ["json", "pretty"] as const) {
    const { log, texts } = testLog({ format });
    log.info({ evil, [evil]: { evil } }, evil);
    log.raw(inertJson(JSON.stringify({ level: "info", msg: "request", user_agent: evil })));
    for (const text of texts) {
      expect(text.indexOf("\n")).toBe(text.length - 1);
      // The colours are the gateway's own.
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      const plain = text.slice(0, -1).replace(/\x1b\[(0|32)m/g, "");
      // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      expect(plain).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u202e]/);
    }
    if (format === "json") {
      const line = JSON.parse(texts[0]!) as Record<string, unknown>;
      expect([line["evil"], line["msg"]]).toEqual([evil, evil]);
    }
  }
});

test("a plugin may pass anything without harm", () => {
  const { log, texts } = testLog();
  const hostile: unknown[] = [
    ...[undefined, null, "text", 1n, [1, 2], Symbol("s")],
    {
      get boom(): never {
        throw new Error("no");
      },
    },
  ];
  for (const fields of hostile) log.info(fields as object, undefined as unknown as string);
  for (const text of texts) expect(() => JSON.parse(text) as unknown).not.toThrow();
  expect(texts).toHaveLength(hostile.length);
});

test("pretty lines are for people: time, level, message, fields, and the stack of an error", () => {
  const { log, texts } = testLog({ format: "pretty" });
  log.info({ route: "a", words: "two words" }, "ready");
  expect(texts[0]).toBe('22:13:20.000 \x1b[32minfo \x1b[0m ready route=a words="two words"\n');
  log.error({ err: new TypeError("broken", { cause: new Error("why") }) }, "failed");
  expect(texts[1]).toContain("\n    TypeError: broken");
  expect(texts[1]).toContain("why");
});

test("the access log's lines may wait; the others are urgent", () => {
  const { log, urgent } = testLog();
  log.raw('{"msg":"request"}');
  log.info({}, "m");
  expect(urgent).toEqual([false, true]);
});

test("lost lines are told of when lines are taken again", () => {
  const { log, sink, last } = testLog();
  expect(log.dropped).toBe(0);
  sink.onResumed?.(17);
  expect(last()).toMatchObject({ level: "warn", dropped: 17 });
});
