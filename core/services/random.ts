import { randomFillSync } from "node:crypto";
import type { Random } from "sluice/plugin";

/** Random bytes are fetched this many at a time: a call for each id costs ten times as much. */
const POOL_BYTES = 4_096;

const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** Each byte of the pool is given out once, and wiped. */
function hex(bytes: number): string {
  if (bytes > POOL_BYTES) return randomFillSync(Buffer.alloc(bytes)).toString("hex");
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const text = pool.toString("hex", used, used + bytes);
  pool.fill(0, used, used + bytes);
  used += bytes;
  return text;
}

/** The machine's randomness; ids come from the cryptographic source. */
export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => crypto.randomUUID(),
  hex,
};
