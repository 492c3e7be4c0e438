import { expect, test } from "bun:test";
import fc from "fast-check";
import { chunked } from "../../../core/e2e/byte-pool.ts";
import { EVENT_BYTES, writeEvent } from "../../origins/sse-events.ts";
import { AnswerReader, WrongAnswer } from "./answer-reader.ts";
import { EventBody } from "./event-body.ts";
import { ExactBody } from "./exact-body.ts";

const bodies = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

/** An answer with this body, framed either way, with what may come before and around it. */
function answers(body: Buffer): fc.Arbitrary<Buffer> {
  const head = (more: string): Buffer =>
    Buffer.from(`HTTP/1.1 200 OK\r\nDate: today\r\n${more}x-empty:\r\n\r\n`, "latin1");
  const framed = fc.oneof(
    fc
      .constantFrom("Content-Length: ", "content-length:", "CONTENT-LENGTH:  ")
      .map((name) => Buffer.concat([head(`${name}${body.byteLength}\r\n`), body])),
    fc
      .array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 })
      .map((sizes) =>
        Buffer.concat([head("Transfer-Encoding: Chunked\r\n"), chunked(body, sizes, "x-sum: 1\r\n")]),
      ),
  );
  return fc
    .tuple(fc.boolean(), framed)
    .map(([hinted, whole]) =>
      hinted ? Buffer.concat([Buffer.from("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), whole]) : whole,
    );
}

function pieces(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * whole.byteLength)).toSorted((a, b) => a - b)];
  return at
    .map((from, i) => whole.subarray(from, at[i + 1] ?? whole.byteLength))
    .filter((piece) => piece.byteLength > 0);
}

const cutAnswers = bodies.chain((body) =>
  fc.record({
    body: fc.constant(body),
    whole: answers(body),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 12 }),
  }),
);

test("right answers end with their last byte, wherever they are cut, one after the other", () => {
  fc.assert(
    fc.property(fc.array(cutAnswers, { minLength: 1, maxLength: 4 }), (all) => {
      const body = new SwitchingBody();
      const reader = new AnswerReader(200, body);
      for (const each of all) {
        body.expected = new ExactBody(each.body);
        reader.begin(0, true);
        const parts = pieces(each.whole, each.cuts);
        expect(parts.map((part) => reader.push(part))).toEqual(parts.map((_, i) => i === parts.length - 1));
        expect(reader.keepAlive).toBe(true);
      }
    }),
  );
});

/** The same connection carries answers of all sorts here. */
class SwitchingBody {
  expected = new ExactBody(Buffer.alloc(0));
  begin(): void {
    this.expected.begin();
  }
  piece(chunk: Buffer, from: number, to: number): void {
    this.expected.piece(chunk, from, to);
  }
  end(): void {
    this.expected.end();
  }
}

test("a body that differs in a byte, lacks one, or has one more is wrong, wherever it is cut", () => {
  const cases = bodies
    .filter((body) => body.byteLength > 0)
    .chain((body) => {
      const flipped = Buffer.from(body);
      flipped[body.byteLength >> 1]! ^= 1;
      const others = [flipped, body.subarray(1), Buffer.concat([body, Buffer.from("x")])];
      return fc.constantFrom(...others).chain((other) =>
        fc.record({
          body: fc.constant(body),
          whole: answers(other),
          cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 12 }),
        }),
      );
    });
  fc.assert(
    fc.property(cases, ({ body, whole, cuts }) => {
      const reader = new AnswerReader(200, new ExactBody(body));
      reader.begin(0, true);
      expect(() => {
        for (const piece of pieces(whole, cuts)) reader.push(piece);
      }).toThrow(WrongAnswer);
    }),
  );
});

test.each([
  ["HTTP/1.1 502 Bad Gateway\r\n", "answered 502 Bad Gateway"],
  ["HTTP/1.0 200 OK\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\nno colon\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\nserver: x\r\n\r\n", "no certain length"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", "no certain length"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc", "no HTTP/1.1"],
  ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", "bytes behind the answer"],
])("%j is wrong", (bytes, words) => {
  const reader = new AnswerReader(200, new ExactBody(Buffer.from("a")));
  reader.begin(0, true);
  expect(() => reader.push(Buffer.from(`${bytes}\r\n`))).toThrow(words);
});

test("connection: close is told", () => {
  const reader = new AnswerReader(404, new ExactBody(Buffer.from("a")));
  reader.begin(0, true);
  expect(reader.push(Buffer.from("HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"))).toBe(
    true,
  );
  expect(reader.keepAlive).toBe(false);
});

function events(seqs: readonly number[]): Buffer {
  const bytes = Buffer.alloc(seqs.length * EVENT_BYTES);
  for (const [i, seq] of seqs.entries()) writeEvent(bytes, i * EVENT_BYTES, seq, 5_000_000 + seq * 1_000);
  return bytes;
}

test("events are seen when they are whole, with their stamps, wherever they are cut", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 * EVENT_BYTES }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), sizes, (count, steps) => {
      const seen: [seq: number, intended: number, written: number, came: number][] = [];
      let clock = 0;
      const body = new EventBody(count, { now: () => clock, event: (...all) => seen.push(all) });
      body.begin(17, true);
      const bytes = events(Array.from({ length: count }, (_, i) => i));
      const came: number[] = [];
      for (let at = 0, i = 0; at < bytes.byteLength; i++) {
        const to = Math.min(bytes.byteLength, at + steps[i % steps.length]!);
        clock++;
        body.piece(bytes, at, to);
        for (let end = Math.ceil((at + 1) / EVENT_BYTES); end * EVENT_BYTES <= to; end++) came.push(clock);
        at = to;
      }
      body.end();
      expect(seen).toEqual(came.map((when, seq) => [seq, 17, 5 + seq / 1_000, when]));
    }),
  );
});

test.each([
  ["one missing", [0, 1, 3]],
  ["one twice", [0, 1, 1, 2]],
  ["one too many", [0, 1, 2, 3]],
  ["the last missing", [0, 1]],
])("events with %s are wrong", (_, seqs) => {
  const body = new EventBody(3, { now: () => 0, event: () => undefined });
  body.begin(0, true);
  const bytes = events(seqs);
  expect(() => {
    body.piece(bytes, 0, bytes.byteLength);
    body.end();
  }).toThrow(WrongAnswer);
});

test("an event with another text, or half of one, is wrong", () => {
  const body = new EventBody(1, { now: () => 0, event: () => undefined });
  body.begin(0, true);
  const changed = events([0]);
  changed[EVENT_BYTES - 10]! ^= 1;
  expect(() => body.piece(changed, 0, EVENT_BYTES)).toThrow(WrongAnswer);
  body.begin(0, true);
  body.piece(events([0]), 0, EVENT_BYTES - 1);
  expect(() => body.end()).toThrow(WrongAnswer);
});
