import type { HeaderList } from "sluice/plugin";
import { BodyDecoder } from "./body-decoder.ts";
import { NO_BODY } from "./framing.ts";
import type { ResponseHead } from "./message-head.ts";
import { ResponseParser } from "./response-parser.ts";

/* A helper of this folder's tests: the codec's answer side, used as a client uses it. */

/** What became of the bytes that a server sent in answer to one request. */
export interface Received {
  /** Statuses of the informational answers before it. */
  readonly informed: readonly number[];
  /** Undefined where no whole head came. */
  readonly head: ResponseHead | undefined;
  readonly body: Uint8Array;
  readonly trailers: readonly string[] | undefined;
  /** Whether the body came to its end; FIN behind the last byte counted. */
  readonly complete: boolean;
  /** What came behind the answer. */
  readonly rest: Uint8Array;
}

/** How {@link receive} reads. */
export interface ReceiveOptions {
  /** The request's method. @default "GET" */
  readonly method?: string;
  /** The request's `Upgrade`. */
  readonly offered?: string;
  /** Whether FIN follows the last piece. @default true */
  readonly fin?: boolean;
}

const LIMITS = { headerBytes: 16_384, headerCount: 64 };

/** Reads one final answer out of `pieces`. @throws MessageError */
export function receive(pieces: readonly Uint8Array[], options: ReceiveOptions = {}): Received {
  const { method = "GET", offered, fin = true } = options;
  const parser = new ResponseParser(LIMITS);
  const informed: number[] = [];
  const body: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let head: ResponseHead | undefined;
  let complete = false;
  let trailers: HeaderList | undefined;
  const decoder = new BodyDecoder({
    bodyChunk: (bytes) => void body.push(bytes),
    bodyEnd: (fields) => {
      complete = true;
      trailers = fields;
    },
  });
  for (const piece of pieces) {
    let at = 0;
    while (head === undefined && at < piece.byteLength) {
      const read = parser.parse(piece, at, method, offered);
      if (read === undefined) {
        at = piece.byteLength;
        break;
      }
      at = parser.next;
      if (read.status < 200 && read.status !== 101) {
        informed.push(read.status);
        continue;
      }
      head = read;
      if (read.framing === NO_BODY) complete = true;
      else decoder.start(read.framing);
    }
    if (head !== undefined && !complete) at = decoder.push(piece, at);
    if (at < piece.byteLength) rest.push(piece.subarray(at));
  }
  if (fin && head !== undefined && !complete) decoder.finish();
  return {
    informed,
    head,
    body: Buffer.concat(body),
    trailers: trailers?.flat,
    complete,
    rest: Buffer.concat(rest),
  };
}

/**
 * What a client may make of it: `refused: REASON`, `broken` (it ended in the middle), `whole, close` (complete, and
 * its connection is not used again) or `whole`.
 */
export function verdict(received: Received): string {
  const { head, complete, rest } = received;
  if (head === undefined || !complete) return "broken";
  return head.keepAlive && rest.byteLength === 0 ? "whole" : "whole, close";
}
