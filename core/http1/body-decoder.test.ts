import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeaderList } from "sluice/plugin";
import { BodyDecoder, type BodyDecoderOptions } from "./body-decoder.ts";
import { copyOf, encodeChunk, encodeLastChunk } from "./encoder.ts";
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { bytesOf, cutAt, cuts, outcome } from "./test-messages.ts";

interface Decoded {
  readonly body: string;
  readonly ended: boolean;
  readonly trailers: readonly string[] | undefined;
  /** What came behind the body. */
  readonly rest: string;
  readonly pieces: readonly Uint8Array[];
}

function decode(inputs: readonly Uint8Array[], framing: Framing, options?: BodyDecoderOptions): Decoded {
  const pieces: Uint8Array[] = [];
  let ended = false;
  let trailers: readonly string[] | undefined;
  const decoder = new BodyDecoder(
    {
      bodyChunk(bytes) {
        expect(ended).toBeFalse();
        expect(bytes.byteLength).toBeGreaterThan(0);
        pieces.push(bytes);
      },
      bodyEnd(fields) {
        expect(ended).toBeFalse();
        ended = true;
        trailers = fields?.flat;
      },
    },
    options,
  );
  decoder.start(framing);
  const rest: Uint8Array[] = [];
  for (const input of inputs) rest.push(input.subarray(decoder.push(input, 0)));
  return {
    body: Buffer.concat(pieces).toString("latin1"),
    ended,
    trailers,
    rest: Buffer.concat(rest).toString("latin1"),
    pieces,
  };
}

function decodeText(text: string, framing: Framing = CHUNKED, options?: BodyDecoderOptions) {
  return outcome(() => decode([bytesOf(text)], framing, options));
}

describe("a body of known length", () => {
  test("ends at its last byte; what follows is not its own", () => {
    expect(decodeText("hello, next", 5)).toMatchObject({ body: "hello", ended: true, rest: ", next" });
    expect(decodeText("hel", 5)).toMatchObject({ body: "hel", ended: false, rest: "" });
    expect(decodeText("next", 0)).toMatchObject({ body: "", ended: true, rest: "next" });
    expect(decodeText("next", NO_BODY)).toMatchObject({ body: "", ended: true, rest: "next" });
  });

  test("is passed on without a copy", () => {
    const input = bytesOf("hello".repeat(1_000));
    expect(decode([input], 4_000).pieces[0]!.buffer).toBe(input.buffer as ArrayBuffer);
    // Where there is little of it, a copy costs less.
    const little = decode([input], 5).pieces[0]!;
    expect([String.fromCharCode(...little), little.buffer.byteLength]).toEqual(["hello", 5]);
  });

  test("that a FIN cuts off is no whole body", () => {
    const decoder = new BodyDecoder({ bodyChunk() {}, bodyEnd() {} });
    decoder.start(5);
    decoder.push(bytesOf("hel"), 0);
    expect(decoder.remaining).toBe(2);
    expect(decoder.finish()).toBeFalse();
  });
});

test("a body until close ends with FIN", () => {
  let ended = 0;
  const decoder = new BodyDecoder({ bodyChunk() {}, bodyEnd: () => void ended++ });
  decoder.start(UNTIL_CLOSE);
  expect(decoder.push(bytesOf("abc"), 0)).toBe(3);
  expect(decoder.active).toBeTrue();
  expect(decoder.finish()).toBeTrue();
  expect([ended, decoder.active]).toEqual([1, false]);
});

describe("a chunked body (RFC 9112 §7.1)", () => {
  test.each([
    ["5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["0\r\n\r\n", ""],
    ["00005\r\nhello\r\n000\r\n\r\n", "hello"],
    ["a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"],
    ['5;a\r\nhello\r\n0;b=c;d="e\\" \xe9;"\r\n\r\n', "hello"],
    ["5;a=b;c\r\nhello\r\n0\r\n\r\n", "hello"],
    ["2\r\n\r\n\r\n0\r\n\r\n", "\r\n"],
  ])("%j is %j", (text, body) => {
    expect(decodeText(`${text}NEXT`)).toMatchObject({ body, ended: true, trailers: undefined, rest: "NEXT" });
  });

  test.each([
    ["\r\nhello", "no size"],
    ["-5\r\nhello\r\n", "a sign"],
    ["+5\r\nhello\r\n", "a sign"],
    ["0x5\r\nhello\r\n", "a prefix"],
    ["5_0\r\nhello\r\n", "an underscore"],
    [" 5\r\nhello\r\n", "white space before the size"],
    ["5 \r\nhello\r\n", "white space behind the size"],
    ["5\t;a\r\nhello\r\n", "bad white space before an extension"],
    ["5; a\r\nhello\r\n", "bad white space in an extension"],
    ["5;\r\nhello\r\n", "an empty extension"],
    ["5;a=\r\nhello\r\n", "an extension without its value"],
    ['5;a="b\r\nhello\r\n', "an open quoted string"],
    ['5;a="b"c\r\nhello\r\n', "junk behind a quoted string"],
    ['5;a="\\\r\n', "an escaped CR"],
    ["5;a\nhello\r\n", "LF alone behind an extension"],
    ["5\nhello\r\n0\n\n", "LF alone"],
    ["5\rhello\r\n", "CR alone"],
    ["5\r\nhello0\r\n\r\n", "no CRLF behind the data"],
    ["5\r\nhello\n0\r\n\r\n", "LF alone behind the data"],
    ["5\r\nhelloX\r\n", "more data than announced"],
    ["5\r\nhello\r\r\n", "CR CR LF"],
    ["ffffffffffffffff\r\n", "2^64 - 1"],
    ["20000000000001\r\n", "2^53 + 1"],
    ["00000000000000005\r\n", "17 digits"],
    ["g\r\n", "no hexadecimal digit"],
    [`5;${"a".repeat(5000)}\r\nhello\r\n`, "an endless extension"],
    [`${"1;a=b\r\nx\r\n".repeat(2000)}0\r\n\r\n`, "extensions without end"],
    ["0\r\nA: b\n\r\n", "LF alone in a trailer"],
    ["0\r\n A: b\r\n\r\n", "a folded trailer"],
    ["0\r\nA : b\r\n\r\n", "a space before a trailer's colon"],
    ["0\r\nA\r\n\r\n", "a trailer without a colon"],
    ["0\r\n\rX", "CR alone at the end"],
    ["0\r\nXX\0", "NUL in a trailer's name"],
  ])("%j is refused: %s", (text) => {
    expect(decodeText(text)).toMatchObject({ refused: "bad_request" });
  });

  test("brings trailers, without those that would change the message (RFC 9110 §6.5.1)", () => {
    const text =
      "0\r\nGrpc-Status: 0\r\nContent-Length: 9\r\nX-Sum:  ab \r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\nHost: h\r\na_b: c\r\n\r\n";
    expect(decodeText(text)).toMatchObject({ trailers: ["grpc-status", "0", "x-sum", "ab", "a_b", "c"] });
    expect(decodeText(text, CHUNKED, { dropUnderscores: true })).toMatchObject({
      trailers: ["grpc-status", "0", "x-sum", "ab"],
    });
  });

  test("has bounded trailers", () => {
    const trailers = { headerBytes: 20, headerCount: 2 };
    expect(decodeText("0\r\nA: b\r\nC: d\r\n\r\n", CHUNKED, { trailers })).toMatchObject({ ended: true });
    expect(decodeText("0\r\nA:\r\nB:\r\nC:\r\n\r\n", CHUNKED, { trailers })).toMatchObject({
      refused: "headers_too_large",
    });
    expect(decodeText(`0\r\nA: ${"b".repeat(30)}`, CHUNKED, { trailers })).toMatchObject({
      refused: "headers_too_large",
    });
  });

  test("of tiny chunks costs its reader no object a chunk", () => {
    const text = `${"1\r\nx\r\n".repeat(20_000)}0\r\n\r\n`;
    const decoded = decode([bytesOf(text)], CHUNKED);
    expect(decoded.body).toBe("x".repeat(20_000));
    expect(decoded.pieces.length).toBeLessThan(5);
  });

  test("may carry an extension a chunk, as signatures of chunks are", () => {
    const chunk = `3e8;signature=${"0".repeat(64)}\r\n${"x".repeat(1_000)}\r\n`;
    expect(decode([bytesOf(`${chunk.repeat(3_000)}0\r\n\r\n`)], CHUNKED).body.length).toBe(3_000_000);
  });

  test("large chunks are passed on without a copy", () => {
    const input = bytesOf(`2000\r\n${"x".repeat(0x2000)}\r\n2000\r\n${"y".repeat(0x2000)}\r\n0\r\n\r\n`);
    const { pieces } = decode([input], CHUNKED);
    expect(pieces.map((piece) => piece.buffer === input.buffer)).toEqual([true, true]);
  });
});

describe("every cut of a body", () => {
  test.each([
    '5\r\nhello\r\n6;x="y"\r\n world\r\n0\r\nA: b\r\nC: d\r\n\r\nGET / HTTP/1.1\r\n',
    "0\r\n\r\n0\r\n\r\n",
    "5\r\nhello\r\n5 \r\nworld\r\n",
    "3\r\nabc\r\n0\r\nA:b\r\n c\r\n\r\n",
  ])("%j gives one result", (text) => {
    const bare = (inputs: readonly Uint8Array[]) =>
      outcome(() => ({ ...decode(inputs, CHUNKED), pieces: [] }));
    const whole = bare([bytesOf(text)]);
    for (const inputs of cuts(bytesOf(text))) expect(bare(inputs)).toEqual(whole);
  });

  test("that the encoder wrote brings the same bytes and trailers", () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 6000 });
    const trailer = fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,12}$/));
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 8 }),
        fc.array(trailer, { maxLength: 4 }),
        fc.array(fc.nat(50_000), { maxLength: 12 }),
        (chunks, fields, places) => {
          const trailers = HeaderList.from(fields);
          const bytes = Buffer.concat([
            ...chunks.map((one) => copyOf(encodeChunk(one))),
            encodeLastChunk(trailers),
            bytesOf("NEXT"),
          ]);
          const decoded = decode(cutAt(bytes, places), CHUNKED);
          expect(Buffer.concat(decoded.pieces).equals(Buffer.concat(chunks))).toBeTrue();
          expect(decoded.ended).toBeTrue();
          expect(decoded.trailers ?? []).toEqual(trailers.flat);
          expect(decoded.rest).toBe("NEXT");
        },
      ),
      { numRuns: 300 },
    );
  });

  test("of random bytes in the shape of chunks", () => {
    const part = fc.constantFrom(...'5|0|a|\r\n|\r|\n|;x|=y|"|hello|A: b| |\0|\r\n\r\n|0\r\n\r\n'.split("|"));
    const run = (inputs: readonly Uint8Array[]) => {
      const result = outcome(() => decode(inputs, CHUNKED));
      return "refused" in result ? result : { ...result, pieces: [] };
    };
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 14 }),
        fc.array(fc.nat(80), { maxLength: 6 }),
        (parts, places) => {
          const bytes = bytesOf(parts.join(""));
          expect(run(cutAt(bytes, places))).toEqual(run([bytes]));
        },
      ),
      { numRuns: 3000 },
    );
  });
});
