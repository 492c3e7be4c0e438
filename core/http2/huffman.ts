/*
 * The Huffman code of HPACK (RFC 7541 Appendix B). It is canonical: among codes of one length a greater symbol has
 * the greater code, so the lengths say everything.
 */

/** Bits of each symbol's code: the 256 bytes and EOS. */
// prettier-ignore
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;

/*
 * The decoder walks the code's tree four bits at a time. A step from inner node `n` by nibble `b` stands at
 * `n * 16 + b`: the next node, and above it the symbol that was completed on the way plus one (at most one: the
 * shortest code has five bits). -1 is no code.
 */
const NODE_BITS = 9;
const NODE_MASK = (1 << NODE_BITS) - 1;
const { steps: STEPS, padding: PADDING } = build();

/** Decodes into `out` from 0. @returns how many bytes that made, or -1 for what is no code (RFC 7541 §5.2) */
export function huffmanDecode(bytes: Uint8Array, from: number, to: number, out: Uint8Array): number {
  let node = 0;
  let length = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    let step = STEPS[(node << 4) | (byte >> 4)]!;
    if (step < 0) return -1;
    if (step > NODE_MASK) out[length++] = (step >> NODE_BITS) - 1;
    node = step & NODE_MASK;
    step = STEPS[(node << 4) | (byte & 15)]!;
    if (step < 0) return -1;
    if (step > NODE_MASK) out[length++] = (step >> NODE_BITS) - 1;
    node = step & NODE_MASK;
  }
  return PADDING[node] === 1 ? length : -1;
}

/** The most bytes that `length` bytes of code can stand for. */
export function huffmanBound(length: number): number {
  return Math.floor((length * 8) / 5);
}

function build(): { steps: Int32Array; padding: Uint8Array } {
  // Inner nodes are numbered from 0, the root; a leaf is -1 - symbol.
  const children: [number, number][] = [[0, 0]];
  const padding = [1];
  for (const [symbol, code, length] of codes()) {
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = (code >>> bit) & 1;
      const pair = children[node]!;
      if (bit === 0) pair[side] = -1 - symbol;
      else {
        if (pair[side] === 0) {
          pair[side] = children.length;
          children.push([0, 0]);
          // Up to seven bits of EOS, which are all ones, fill the last byte.
          padding.push(side === 1 && padding[node] === 1 && length - bit <= 7 ? 1 : 0);
        }
        node = pair[side]!;
      }
    }
  }
  const steps = new Int32Array(children.length * 16);
  for (let node = 0; node < children.length; node++) {
    for (let nibble = 0; nibble < 16; nibble++) steps[node * 16 + nibble] = walk(children, node, nibble);
  }
  return { steps, padding: Uint8Array.from(padding) };
}

function walk(children: readonly [number, number][], from: number, nibble: number): number {
  let node = from;
  let symbol = -1;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node]![(nibble >> bit) & 1]!;
    if (next >= 0) node = next;
    else {
      symbol = -1 - next;
      // RFC 7541 §5.2: EOS itself must not come.
      if (symbol === EOS) return -1;
      node = 0;
    }
  }
  return node | ((symbol + 1) << NODE_BITS);
}

/** Symbol, code and length, in the order of the codes. */
function codes(): [symbol: number, code: number, length: number][] {
  const order = LENGTHS.map((length, symbol) => ({ symbol, length }));
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let before = 0;
  return order.map(({ symbol, length }, i) => {
    if (i > 0) code = (code + 1) * 2 ** (length - before);
    before = length;
    return [symbol, code, length];
  });
}
