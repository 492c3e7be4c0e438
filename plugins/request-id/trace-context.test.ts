import { describe, expect, test } from "bun:test";
import { HeaderList } from "sluice/plugin";
import { createSeededRandom } from "sluice/testing";
import { newTraceParent, readTraceParent, writeTraceParent } from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

const read = (...values: string[]) =>
  readTraceParent(HeaderList.from(values.map((value) => ["traceparent", value])));

describe("a traceparent", () => {
  test.each([
    ["00", false, false],
    ["01", true, false],
    ["02", false, true],
    ["03", true, true],
    ["ff", true, true],
  ])("with flags %s", (flags, sampled, random) => {
    expect(read(`00-${TRACE}-${PARENT}-${flags}`)).toEqual({ traceId: TRACE, sampled, random });
  });

  test("of a later version is read as far as ours goes", () => {
    expect(read(`01-${TRACE}-${PARENT}-01`)?.traceId).toBe(TRACE);
    expect(read(`cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`)?.traceId).toBe(TRACE);
    expect(read(`cc-${TRACE}-${PARENT}-01.what`)).toBeUndefined();
  });

  test.each([
    [`00-${TRACE}-${PARENT}-01-more`],
    [`00-${TRACE}-${PARENT}-1`],
    [`00-${TRACE.toUpperCase()}-${PARENT}-01`],
    [`00-${"0".repeat(32)}-${PARENT}-01`],
    [`00-${TRACE}-${"0".repeat(16)}-01`],
    [`ff-${TRACE}-${PARENT}-01`],
    [`00-${TRACE.slice(1)}-${PARENT}-01`],
    [`00-${TRACE}-${PARENT}`],
    [` 00-${TRACE}-${PARENT}-01`],
    [""],
  ])("%j is none", (value) => {
    expect(read(value)).toBeUndefined();
  });

  test("there is one of, or none that counts", () => {
    expect(read()).toBeUndefined();
    expect(read(`00-${TRACE}-${PARENT}-01`, `00-${TRACE}-${PARENT}-01`)).toBeUndefined();
  });

  test("is written so that it can be read", () => {
    const { parent, spanId } = newTraceParent(createSeededRandom(3), true);
    expect(spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(read(writeTraceParent(parent, spanId))).toEqual(parent);
    expect(writeTraceParent({ traceId: TRACE, sampled: false, random: false }, PARENT)).toBe(
      `00-${TRACE}-${PARENT}-00`,
    );
  });
});
