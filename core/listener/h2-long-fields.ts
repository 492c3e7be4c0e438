import {
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  HAS_PRIORITY,
  HEADERS,
  MAX_FRAME,
  PADDED,
} from "../http2/frames.ts";
import { LONG_STRING, type TakenField, takeLongStrings } from "../http2/long-strings.ts";
import { huffmanBound } from "../http2/huffman.ts";
import { frame } from "./h2-frames.ts";

/*
 * `node:http2` ends the connection at a field of 2^16 bytes, however many it was told to take. Such fields pass it
 * by: it is given a stand-in, and what it makes of the header block gets the field back.
 */

/** Whether a header block of this many bytes, frame headers included, may have a string that is too long. */
export function mayHoldLongStrings(bytes: number): boolean {
  return huffmanBound(bytes) > LONG_STRING;
}

export interface ShortFrames {
  readonly bytes: Uint8Array;
  readonly taken: readonly TakenField[];
}

/**
 * Takes the long strings out of HEADERS and CONTINUATION.
 * @param frames whole frames of one block; their lengths, padding and order were checked
 * @returns undefined where nothing is too long
 * @throws ConnectionError for a block that makes no sense
 */
export function withoutLongFields(frames: Buffer): ShortFrames | undefined {
  const stream = frames.readUInt32BE(5);
  const ends = frames[4]! & END_STREAM;
  const pieces: Buffer[] = [];
  for (let at = 0; at < frames.byteLength;) {
    const end = at + FRAME_HEADER + frames.readUIntBE(at, 3);
    const flags = frames[at + 3] === HEADERS ? frames[at + 4]! : 0;
    const padding = flags & PADDED ? frames[at + FRAME_HEADER]! : 0;
    const from = at + FRAME_HEADER + (flags & PADDED ? 1 : 0) + (flags & HAS_PRIORITY ? 5 : 0);
    pieces.push(frames.subarray(from, end - padding));
    at = end;
  }
  const { block, taken } = takeLongStrings(Buffer.concat(pieces));
  if (taken.length === 0) return undefined;
  const short: Uint8Array[] = [];
  for (let at = 0; at < block.byteLength; at += MAX_FRAME) {
    const last = at + MAX_FRAME >= block.byteLength ? END_HEADERS : 0;
    const payload = block.subarray(at, at + MAX_FRAME);
    short.push(frame(at === 0 ? HEADERS : CONTINUATION, at === 0 ? ends | last : last, stream, payload));
  }
  return { bytes: Buffer.concat(short), taken };
}

/**
 * Puts the fields back. `raw` are names and values alternating, as decoded.
 * @returns undefined where they are not those that were sent
 */
export function withLongFields(
  raw: readonly string[],
  taken: readonly TakenField[],
): readonly string[] | undefined {
  const whole = raw.slice();
  for (const { index, name, value, standIn } of taken) {
    if (whole[2 * index + 1] !== standIn) return undefined;
    if (name !== undefined) whole[2 * index] = name;
    whole[2 * index + 1] = value;
  }
  return whole;
}
