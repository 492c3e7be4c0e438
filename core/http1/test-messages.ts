import { Buffer } from "node:buffer";
import { MessageError } from "./message-error.ts";

/*
 * Helpers of this folder's tests: the same bytes offered in every possible cut must lead to the same result.
 */

/** One character a byte. */
export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** Every way to cut `bytes` in two, then byte by byte, then whole. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [copy(bytes)];
  for (let at = 1; at < bytes.byteLength; at++) yield [copy(bytes.subarray(0, at)), copy(bytes.subarray(at))];
  yield [...bytes].map((byte) => Uint8Array.of(byte));
}

/** `bytes` cut at these places (any order, repeats allowed). */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (bytes.byteLength + 1)))].sort((a, b) => a - b);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const end of [...ends, bytes.byteLength]) {
    if (end > from) pieces.push(copy(bytes.subarray(from, end)));
    from = Math.max(from, end);
  }
  return pieces;
}

// A chunk off a socket is an array of its own; a view of the whole would hide reads beyond the cut.
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** What `run` answers, or the refusal that it throws, in a form that compares. */
export function outcome<T>(run: () => T): T | { refused: string; reason: string } {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return { refused: error.code, reason: error.reason };
  }
}
