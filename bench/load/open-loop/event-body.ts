import { EVENT_BYTES, stampOf } from "../../origins/sse-events.ts";
import { type BodyReader, WrongAnswer } from "./answer-reader.ts";

/** Where what streams of events show is gathered. Times are milliseconds of the clock that all processes share. */
export interface EventSink {
  now(): number;
  /** @param written when, by the origin's stamp. @param came when its last byte was here. */
  event(seq: number, intended: number, written: number, came: number): void;
}

/** A body that must be `count` events of the SSE origin, in order and whole. */
export class EventBody implements BodyReader {
  readonly #count: number;
  readonly #sink: EventSink;
  readonly #event = Buffer.alloc(EVENT_BYTES);
  #have = 0;
  #seq = 0;
  #intended = 0;
  #counted = false;

  constructor(count: number, sink: EventSink) {
    this.#count = count;
    this.#sink = sink;
  }

  begin(intended: number, counted: boolean): void {
    this.#have = 0;
    this.#seq = 0;
    this.#intended = intended;
    this.#counted = counted;
  }

  piece(chunk: Buffer, from: number, to: number): void {
    const came = this.#sink.now();
    for (let at = from; at < to;) {
      const taken = chunk.copy(this.#event, this.#have, at, Math.min(to, at + EVENT_BYTES - this.#have));
      at += taken;
      this.#have += taken;
      if (this.#have < EVENT_BYTES) return;
      this.#have = 0;
      this.#take(came);
    }
  }

  end(): void {
    if (this.#seq < this.#count || this.#have > 0) {
      throw new WrongAnswer(`${this.#seq} of ${this.#count} events and ${this.#have} bytes`);
    }
  }

  #take(came: number): void {
    const seq = this.#seq++;
    const stamp = stampOf(this.#event, seq);
    if (stamp === undefined || seq >= this.#count) {
      throw new WrongAnswer(`not event ${seq} of ${this.#count}: ${this.#event.toString("latin1")}`);
    }
    if (this.#counted) this.#sink.event(seq, this.#intended, stamp / 1e6, came);
  }
}
