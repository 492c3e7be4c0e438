import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PADDED,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../core/http2/frames.ts";
import { HpackDecoder } from "../../core/http2/hpack-decoder.ts";
import { OutBuffer } from "../../core/http2/index.ts";
import { HpackEncoder } from "../../core/http2/hpack-encoder.ts";
import { GrpcConnection } from "./grpc-connection.ts";
import {
  ANSWER,
  framed,
  STREAM,
  STREAM_BYTES,
  STREAM_LENGTH,
  UNARY,
  UNARY_REQUEST,
} from "./grpc-messages.ts";

/** A client that sends what it is told to, and reads all that comes. */
class Client {
  readonly #connection = new GrpcConnection();
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder({ headerBytes: 10_000, headerCount: 100 });
  readonly out = new OutBuffer();
  /** By stream: fields, and bytes of DATA. */
  readonly fields = new Map<number, string[]>();
  readonly data = new Map<number, Buffer[]>();
  readonly ended = new Set<number>();
  readonly frames: [type: number, flags: number, stream: number][] = [];

  constructor() {
    this.out.append(PREFACE);
  }

  settings(id: number, value: number): void {
    this.out.frame(6, SETTINGS, 0, 0);
    this.out.byte(id >> 8);
    this.out.byte(id);
    this.out.u32(value);
  }

  windowUpdate(stream: number, increment: number): void {
    this.out.frame(4, WINDOW_UPDATE, 0, stream);
    this.out.u32(increment);
  }

  call(stream: number, path: string, body: Uint8Array, pad = 0): void {
    const block = new OutBuffer();
    this.#encoder.encode([":method", "POST", ":path", path, "content-type", "application/grpc"], block);
    this.out.frame(block.end, HEADERS, END_HEADERS, stream);
    this.out.append(block.bytes.subarray(0, block.end));
    const padding = pad > 0 ? Buffer.from([pad, ...new Uint8Array(pad)]) : Buffer.alloc(0);
    const flags = END_STREAM | (pad > 0 ? PADDED : 0);
    this.out.frame(body.byteLength + padding.byteLength, DATA, flags, stream);
    this.out.append(padding.subarray(0, 1));
    this.out.append(body);
    this.out.append(padding.subarray(1));
  }

  /** Sends what was written, cut at `cuts` (shares of it). */
  send(cuts: readonly number[] = []): void {
    const bytes = Buffer.from(this.out.bytes.subarray(0, this.out.end));
    this.out.end = 0;
    let from = 0;
    for (const cut of [...cuts.map((share) => Math.floor(share * bytes.byteLength)), bytes.byteLength]) {
      if (cut <= from) continue;
      this.#connection.read(bytes.subarray(from, cut));
      from = cut;
    }
    this.#read();
  }

  #read(): void {
    const { output } = this.#connection;
    for (let at = 0; at < output.byteLength;) {
      const to = at + 9 + output.readUIntBE(at, 3);
      const [type, flags, stream] = [output[at + 3]!, output[at + 4]!, output.readUInt32BE(at + 5)] as const;
      const payload = Buffer.from(output.subarray(at + 9, to));
      at = to;
      this.frames.push([type, flags, stream]);
      if ((flags & END_STREAM) !== 0 && type <= HEADERS) this.ended.add(stream);
      if (type === HEADERS) {
        this.fields.set(stream, [...(this.fields.get(stream) ?? []), ...this.#decoder.decode(payload)]);
      } else if (type === DATA) {
        this.data.set(stream, [...(this.data.get(stream) ?? []), payload]);
      }
    }
    this.#connection.written(output.byteLength);
  }

  bytes(stream: number): number {
    return Buffer.concat(this.data.get(stream) ?? []).byteLength;
  }
}

const OK = [":status", "200", "content-type", "application/grpc", "grpc-status", "0"];
const refused = (status: string): string[] => [...OK.slice(0, 5), status];

test("calls are answered with their messages, however the bytes are cut", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const calls = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(calls, fc.array(share, { maxLength: 20 }), fc.nat(200), (streaming, cuts, pad) => {
      const client = new Client();
      client.settings(INITIAL_WINDOW_SIZE, 1 << 20);
      client.windowUpdate(0, 1 << 20);
      for (const [i, stream] of streaming.entries())
        client.call(
          2 * i + 1,
          stream ? STREAM : UNARY,
          framed(stream ? Buffer.alloc(0) : UNARY_REQUEST),
          pad,
        );
      client.send(cuts.toSorted((a, b) => a - b));
      for (const [i, stream] of streaming.entries()) {
        const id = 2 * i + 1;
        expect(client.fields.get(id)).toEqual(OK);
        expect(client.data.get(id)).toEqual(
          new Array<Buffer>(stream ? STREAM_LENGTH : 1).fill(framed(ANSWER)),
        );
        expect(client.ended.has(id)).toBe(true);
      }
    }),
    { numRuns: 50 },
  );
});

test("no window is ever exceeded, and what waits for one goes on with it", () => {
  const increments = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 30_000 })), { maxLength: 30 });
  fc.assert(
    fc.property(fc.nat(3_000), increments, (initial, updates) => {
      const client = new Client();
      client.settings(INITIAL_WINDOW_SIZE, initial);
      client.call(1, STREAM, framed(Buffer.alloc(0)));
      client.send();
      let stream = initial;
      let connection = 65_535;
      for (const [whole, by] of updates) {
        expect(client.bytes(1)).toBe(Math.min(stream, connection, STREAM_BYTES));
        client.windowUpdate(whole ? 0 : 1, by);
        if (whole) connection += by;
        else stream += by;
        client.send();
      }
      // SETTINGS move the windows of what is open (RFC 9113 §6.9.2).
      client.settings(INITIAL_WINDOW_SIZE, initial + STREAM_BYTES);
      client.windowUpdate(0, STREAM_BYTES);
      client.send();
      expect(Buffer.concat(client.data.get(1)!)).toEqual(
        Buffer.concat(new Array<Buffer>(STREAM_LENGTH).fill(framed(ANSWER))),
      );
      expect(client.ended.has(1)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("a request that is not the right one is refused, and the connection goes on", () => {
  const client = new Client();
  const right = framed(UNARY_REQUEST);
  const changed = Buffer.from(right);
  changed[500]! ^= 1;
  client.call(1, UNARY, changed);
  client.call(3, UNARY, right.subarray(1));
  client.call(5, UNARY, Buffer.concat([right, Buffer.from("x")]));
  client.call(7, "/bench.Echo/Other", right);
  client.call(9, UNARY, right);
  client.send();
  expect([1, 3, 5, 7].map((id) => client.fields.get(id))).toEqual([
    refused("3"),
    refused("3"),
    refused("3"),
    refused("12"),
  ]);
  expect(client.fields.get(9)).toEqual(OK);
  expect([...client.data.keys()]).toEqual([9]);
});

test("a reset call is not answered, a ping is, and what was read may be sent again", () => {
  const client = new Client();
  client.settings(INITIAL_WINDOW_SIZE, 0);
  client.call(1, UNARY, framed(UNARY_REQUEST));
  client.out.frame(4, RST_STREAM, 0, 1);
  client.out.u32(8);
  client.windowUpdate(1, 5_000);
  client.out.frame(8, PING, 0, 0);
  client.out.append(Buffer.from("12345678"));
  for (let id = 3; id < 603; id += 2) client.call(id, UNARY, framed(UNARY_REQUEST));
  client.send();
  expect(client.data.has(1)).toBe(false);
  expect(client.frames).toContainEqual([PING, 1, 0]);
  // Once in the beginning, and once for what has come since.
  expect(client.frames.filter(([type, , stream]) => type === WINDOW_UPDATE && stream === 0).length).toBe(2);
});

test("what is no HTTP/2 is the end of a connection", () => {
  expect(() => new GrpcConnection().read(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toThrow("no HTTP/2");
});
