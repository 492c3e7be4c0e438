import { randomBytes } from "node:crypto";
import type { Random } from "sluice/plugin";

/** The machine's randomness; ids come from the cryptographic source. */
export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => crypto.randomUUID(),
  hex: (bytes) => randomBytes(bytes).toString("hex"),
};
