import { type BodyReader, WrongAnswer } from "./answer-reader.ts";

/** A body that must be `expected`, byte by byte. */
export class ExactBody implements BodyReader {
  readonly #expected: Uint8Array;
  #at = 0;

  constructor(expected: Uint8Array) {
    this.#expected = expected;
  }

  begin(): void {
    this.#at = 0;
  }

  piece(chunk: Buffer, from: number, to: number): void {
    const at = this.#at;
    const next = at + to - from;
    if (next > this.#expected.byteLength)
      throw new WrongAnswer(`more than ${this.#expected.byteLength} bytes`);
    if (chunk.compare(this.#expected, at, next, from, to) !== 0) {
      throw new WrongAnswer(
        `the body is not the expected one: ${chunk.toString("latin1", from, Math.min(to, from + 200))}`,
      );
    }
    this.#at = next;
  }

  end(): void {
    if (this.#at < this.#expected.byteLength) {
      throw new WrongAnswer(`${this.#at} of ${this.#expected.byteLength} bytes`);
    }
  }
}
