/** Four megabytes that nobody mistakes for anything: bodies are slices of it, named by offset and length. */
const POOL = new Uint8Array(4 << 20);
let state = 0x9e3779b9;
for (let i = 0; i < POOL.byteLength; i += 4) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  POOL[i] = state;
  POOL[i + 1] = state >>> 8;
  POOL[i + 2] = state >>> 16;
  POOL[i + 3] = state >>> 24;
}

/** The largest body. */
export const LARGEST = 1 << 20;

/** @param offset below 3 MiB. @param length up to {@link LARGEST}. */
export function slice(offset: number, length: number): Uint8Array {
  return POOL.subarray(offset, offset + length);
}

export function sum(bytes: Uint8Array): string {
  return Bun.hash(bytes).toString(16);
}

/** A body in chunks of these sizes, the last one taking what is left (RFC 9112 §7.1). */
export function chunked(body: Uint8Array, sizes: readonly number[], trailer = ""): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < body.byteLength; i++) {
    const piece = body.subarray(at, at + (sizes[i] ?? body.byteLength));
    parts.push(Buffer.from(`${piece.byteLength.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    at += piece.byteLength;
  }
  parts.push(Buffer.from(`0\r\n${trailer}\r\n`));
  return Buffer.concat(parts);
}
