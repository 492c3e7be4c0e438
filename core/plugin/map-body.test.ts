import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Body, BodyQueue, BytesBody, collect, HeaderList, mapBody } from "./index.ts";

const bytes = (written: string): Uint8Array => Buffer.from(written, "latin1");
const NOBODY = { pause() {}, resume() {}, cancelled() {} };

async function text(body: Body): Promise<string> {
  return Buffer.from((await collect(body, 1_000_000))!).toString("latin1");
}

/** Whole lines in upper case, whatever the chunks; what has no end of line comes last. */
function upperLines(later: boolean) {
  let held = "";
  const give = (made: string) => (later ? Promise.resolve(bytes(made)) : bytes(made));
  return {
    chunk(chunk: Uint8Array) {
      held += Buffer.from(chunk).toString("latin1");
      const end = held.lastIndexOf("\n") + 1;
      const lines = held.slice(0, end);
      held = held.slice(end);
      return lines === "" ? null : give(lines.toUpperCase());
    },
    end: () => give(`${held.toUpperCase()}.`),
  };
}

describe("mapBody", () => {
  test("maps the same whatever the chunks are, and whoever is late", async () => {
    const chunks = fc.array(fc.stringMatching(/^[a-z\n]{1,6}$/), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.boolean(), fc.boolean(), async (parts, lateSource, lateMap) => {
        const source = new BodyQueue(NOBODY);
        const filled = (async () => {
          for (const part of parts) {
            if (lateSource) await Promise.resolve();
            source.push(bytes(part));
          }
          source.end(new HeaderList(["x-t", "1"]));
        })();
        const body = mapBody(source, upperLines(lateMap));
        expect(body.length).toBeUndefined();
        expect(await text(body)).toBe(`${parts.join("").toUpperCase()}.`);
        expect(await body.read()).toBeNull();
        expect(body.trailers?.get("x-t")).toBe("1");
        await filled;
      }),
      { numRuns: 150 },
    );
  });

  test("answers without a promise where nobody is late, and does not claim the chunks", () => {
    const body = mapBody(new BytesBody(bytes("ab")), { chunk: (chunk) => chunk });
    expect(body.own?.() ?? false).toBe(false);
    expect(body.read()).toEqual(bytes("ab"));
    expect(body.read()).toBeNull();
  });

  test("reads no further than it is read", () => {
    let reads = 0;
    const source: Body = {
      length: undefined,
      trailers: undefined,
      read: () => (reads++, bytes("x")),
      cancel() {},
    };
    const body = mapBody(source, { chunk: (chunk) => chunk });
    void body.read();
    expect(reads).toBe(1);
  });

  test.each([false, true])("holds nothing of chunks that come to nothing (map is late: %p)", async (late) => {
    let left = 20_000;
    let promises = 0;
    const source: Body = {
      length: undefined,
      trailers: undefined,
      async read() {
        await Promise.resolve();
        if (--left === 0) {
          Bun.gc(true);
          promises = heapStats().objectTypeCounts["Promise"] ?? 0;
        }
        return left === 0 ? null : bytes("x");
      },
      cancel() {},
    };
    const body = mapBody(source, {
      chunk: () => (late ? Promise.resolve(null) : null),
      end: () => bytes("."),
    });
    expect(await text(body)).toBe(".");
    expect(promises).toBeLessThan(5_000);
  });

  test("cancel reaches the source", () => {
    const reasons: unknown[] = [];
    const source = new BodyQueue({ ...NOBODY, cancelled: (reason) => void reasons.push(reason) });
    mapBody(source, { chunk: (chunk) => chunk }).cancel("enough");
    expect(reasons).toEqual(["enough"]);
  });

  test.each([
    ["throws", () => bytes("never") && fail()],
    ["rejects", async () => fail()],
  ])("a map that %s breaks the message off, at both ends", async (_what, chunk) => {
    const reasons: unknown[] = [];
    const source = new BodyQueue({ ...NOBODY, cancelled: (reason) => void reasons.push(String(reason)) });
    source.push(bytes("a"));
    const body = mapBody(source, { chunk });
    expect(await (async () => body.read())().catch(String)).toBe("Error: no map");
    expect(reasons).toEqual(["Error: no map"]);
  });

  test("a source that breaks off does so for the reader", async () => {
    const source = new BodyQueue(NOBODY);
    source.push(bytes("a"));
    source.fail(new Error("reset"));
    const body = mapBody(source, { chunk: (chunk) => chunk });
    expect(await body.read()).toEqual(bytes("a"));
    expect(await (async () => body.read())().catch(String)).toBe("Error: reset");
  });
});

function fail(): never {
  throw new Error("no map");
}
