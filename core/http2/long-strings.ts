import { flawOf, HpackReader } from "./hpack-reader.ts";
import { DEFAULT_TABLE_SIZE, STATIC_TABLE } from "./static-table.ts";

/** A field whose name or value was taken out of a header block. */
export interface TakenField {
  /** Its place among the block's fields, from 0. */
  readonly index: number;
  /** Undefined where it is still in the block. */
  readonly name: string | undefined;
  readonly value: string;
  /** The value in the block instead. */
  readonly standIn: string;
}

export interface ShortBlock {
  readonly block: Buffer;
  readonly taken: readonly TakenField[];
}

/** Strings above this many bytes are taken out: with one of either kind a field stays below 2^16 bytes. */
export const LONG_STRING = 30_000;

/**
 * Puts short stand-ins for the long strings of a header block, for a decoder that takes no field of 2^16 bytes. It
 * needs no dynamic table: where a representation ends is seen without one, and a field with a long string never
 * stays in the table but empties it (RFC 7541 §4.4), which its stand-in does as well. A field that is malformed
 * (RFC 9113 §8.2.1) gets a malformed stand-in.
 * @throws ConnectionError COMPRESSION_ERROR where the block makes no sense
 */
export function takeLongStrings(block: Buffer): ShortBlock {
  const reader = new HpackReader();
  reader.bytes = block;
  const taken: TakenField[] = [];
  const pieces: Buffer[] = [];
  let copied = 0;
  let index = 0;
  while (reader.at < block.byteLength) {
    const from = reader.at;
    const first = block[from]!;
    if (first & 0x80) {
      reader.integer(0x7f);
      index++;
      continue;
    }
    if ((first & 0xe0) === 0x20) {
      reader.integer(0x1f);
      continue;
    }
    const indexed = (first & 0x40) !== 0;
    const mask = indexed ? 0x3f : 0x0f;
    const known = reader.integer(mask);
    const name = known === 0 ? reader.string() : STATIC_TABLE[known - 1]?.[0];
    const valueFrom = reader.at;
    const value = reader.string();
    const longName = known === 0 && name !== undefined && name.length > LONG_STRING;
    if (longName || value.length > LONG_STRING) {
      const sound = isSound(known === 0 ? name : undefined, value, longName);
      const short = sound ? standInFor(name) : "\0";
      const standIn = indexed ? short.padEnd(DEFAULT_TABLE_SIZE, short.at(-1)) : short;
      pieces.push(block.subarray(copied, from));
      if (longName) pieces.push(Buffer.of(first & ~mask), literal("x"));
      else pieces.push(block.subarray(from, valueFrom));
      pieces.push(literal(standIn));
      taken.push({ index, name: longName ? name : undefined, value, standIn });
      copied = reader.at;
    }
    index++;
  }
  if (taken.length === 0) return { block, taken };
  pieces.push(block.subarray(copied));
  return { block: Buffer.concat(pieces), taken };
}

/** `name` is undefined where a table has it, which means that it was looked at. */
function isSound(name: string | undefined, value: string, longName: boolean): boolean {
  if (longName && name?.startsWith(":") === true) return false;
  return flawOf(name ?? "x", value) === undefined;
}

/** Something that a decoder finds nothing wrong with in that place. */
function standInFor(name: string | undefined): string {
  switch (name) {
    case ":path":
      return "/";
    case ":scheme":
      return "http";
    default:
      return "x";
  }
}

/** RFC 7541 §5.2, without Huffman code. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.byteLength < 0x7f) return Buffer.concat([Buffer.of(bytes.byteLength), bytes]);
  const length = [0x7f];
  let rest = bytes.byteLength - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
