import type { Random } from "sluice/plugin";

/** Random numbers that repeat: the same seed gives the same sequence. For tests; nothing about it is secret. */
export function createSeededRandom(seed: number): Random {
  // Mulberry32: 32 bits of state, good enough that tests see no pattern.
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  function hex(bytes: number): string {
    let digits = "";
    for (let i = 0; i < bytes; i++) digits += ((next() * 256) | 0).toString(16).padStart(2, "0");
    return digits;
  }

  function uuid(): string {
    const digits = hex(16);
    // RFC 9562 §5.4: version 4, variant 10.
    const variant = "89ab"[parseInt(digits[16]!, 16) & 3]!;
    return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`;
  }

  return { next, uuid, hex };
}
