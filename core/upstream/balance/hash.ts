/** Spreads what differs in a few bits over all 32 of them: the finaliser of MurmurHash3. */
export function mix(bits: number): number {
  let h = bits ^ (bits >>> 16);
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/**
 * A hash of a text, 32 bits unsigned, the same in every process: FNV-1a over the UTF-16 code units, then
 * {@link mix}ed, for FNV-1a alone leaves the upper bits of similar texts alike. It keeps no secret.
 * @param seed for hashes of one text that have nothing to do with each other.
 */
export function hashText(text: string, seed = 0): number {
  let h = FNV_OFFSET ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), FNV_PRIME);
  return mix(h);
}
