/** Below this, memory is not worth the call. That of a DATA frame is: 16 KiB cost a quarter of a microsecond. */
const FREE_FROM = 12_288;

/** Whether a chunk lies in memory that is worth freeing. */
export function isLarge({ buffer }: Uint8Array): boolean {
  return buffer.byteLength >= FREE_FROM;
}

/** Where in a buffer the last piece of a body ends, of a message that fills all of it with its body and its framing. */
const FILLED = new WeakMap<ArrayBufferLike, number>();

/**
 * Notes that `chunk`, as a socket read it, holds nothing but one body in its coding.
 * @param viewed where in it the last piece that was passed on as a view ends; 0 where none was.
 */
export function filledByBody({ buffer, byteOffset, byteLength }: Uint8Array, viewed: number): void {
  if (byteLength >= FREE_FROM && byteOffset === 0 && byteLength === buffer.byteLength && viewed > 0)
    FILLED.set(buffer, viewed);
}

function free(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * Frees the memory of one body's chunks as soon as they are written, which only who has `Body.own` may do. Left to the
 * garbage collector, the large chunks of a slow transfer survive its quick collections, and tens of megabytes of them
 * wait for a full one.
 *
 * What a socket reads at once may hold the end of one message and the beginning of the next, and a chunk is a view of
 * it. So a buffer is freed only where both its first byte and its last were the body's (then all between are, too), or
 * where its reader has noted that the body fills it.
 */
export class OwnedMemory {
  /** Buffers whose first byte was the body's; several may wait for the wire. */
  #begun: Set<ArrayBufferLike> | undefined;

  /** The chunk is the next of the body; before anything of it is written. */
  begin({ buffer, byteOffset }: Uint8Array): void {
    if (byteOffset === 0 && buffer.byteLength >= FREE_FROM) (this.#begun ??= new Set()).add(buffer);
  }

  /** The chunk, or the last piece of it, is written. */
  end({ buffer, byteOffset, byteLength }: Uint8Array): void {
    if (buffer.byteLength < FREE_FROM) return;
    const end = byteOffset + byteLength;
    if (FILLED.get(buffer) === end) {
      this.#begun?.delete(buffer);
      free(buffer);
    } else if (end === buffer.byteLength && this.#begun?.delete(buffer) === true) free(buffer);
  }
}
