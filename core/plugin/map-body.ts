import type { Body } from "./body.ts";
import type { HeaderList } from "./headers.ts";

type Piece = Uint8Array | null;

/** What {@link mapBody} does with a body's chunks. Either may answer at once or with a promise. */
export interface BodyMap {
  /** What takes the chunk's place; null, or no bytes, for nothing (yet). The chunk is not to be written into. */
  chunk(chunk: Uint8Array): Piece | Promise<Piece>;
  /** What comes behind the last chunk; null for nothing. @default nothing */
  end?(): Piece | Promise<Piece>;
}

/**
 * A body that is another one, changed as it passes: nothing is read ahead and nothing is held but what `map` holds.
 * `cancel` and the trailers are those of `body`. Its length is not known, so a `content-length` among the headers is to
 * be removed where `map` changes how many bytes there are. Where `map` throws or rejects, `body` is cancelled and the
 * message breaks off for its reader.
 */
export function mapBody(body: Body, map: BodyMap): Body {
  return new MappedBody(body, map);
}

class MappedBody implements Body {
  readonly length = undefined;
  readonly #body: Body;
  readonly #map: BodyMap;
  /** The last chunk was read: what is to come is `end`'s, and then nothing. */
  #ended = false;

  constructor(body: Body, map: BodyMap) {
    this.#body = body;
    this.#map = map;
  }

  get trailers(): HeaderList | undefined {
    return this.#body.trailers;
  }

  read(): Piece | Promise<Piece> {
    // Chunks that are at hand and come to nothing cost no promise and no stack.
    while (!this.#ended) {
      const next = this.#body.read();
      if (next instanceof Promise) return next.then((chunk) => this.#orNext(this.#mapped(chunk)));
      const piece = this.#mapped(next);
      if (piece instanceof Promise) return this.#orNext(piece);
      if (piece !== null) return piece;
    }
    return null;
  }

  cancel(reason?: unknown): void {
    this.#body.cancel(reason);
  }

  #orNext(piece: Piece | Promise<Piece>): Piece | Promise<Piece> {
    if (piece instanceof Promise) return piece.then((made) => made ?? this.#next());
    return piece ?? this.#next();
  }

  /** From the first chunk on that came to nothing late: a loop, or each of them would hold the promises before it. */
  async #next(): Promise<Piece> {
    let piece: Piece = null;
    while (piece === null && !this.#ended) {
      const next = this.#body.read();
      const made = this.#mapped(next instanceof Promise ? await next : next);
      piece = made instanceof Promise ? await made : made;
    }
    return piece;
  }

  /** Null where nothing comes of it. */
  #mapped(chunk: Piece): Piece | Promise<Piece> {
    this.#ended = chunk === null;
    let piece: Piece | undefined | Promise<Piece>;
    try {
      piece = chunk === null ? this.#map.end?.() : this.#map.chunk(chunk);
    } catch (error) {
      this.#broke(error);
      throw error;
    }
    if (piece instanceof Promise) {
      return piece.then(
        (made) => this.#some(made),
        (error: unknown) => {
          this.#broke(error);
          throw error;
        },
      );
    }
    return this.#some(piece ?? null);
  }

  #some(piece: Piece): Piece {
    return piece === null || piece.byteLength === 0 ? null : piece;
  }

  #broke(error: unknown): void {
    this.#ended = true;
    this.#body.cancel(error);
  }
}
