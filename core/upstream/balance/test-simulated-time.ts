interface Event {
  readonly at: number;
  /** Of those at one time, the one that was asked for first comes first. */
  readonly order: number;
  readonly run: () => void;
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Time that jumps from one event to the next, for millions of them: no promises, no clock, a binary heap. */
export class SimulatedTime {
  /** Milliseconds, from 0 on. */
  now = 0;
  readonly #heap: Event[] = [];
  #count = 0;

  /** Runs `run` in `ms`, at least 0. */
  after(ms: number, run: () => void): void {
    const heap = this.#heap;
    const event: Event = { at: this.now + ms, order: this.#count++, run };
    let place = heap.length;
    heap.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = event;
  }

  /** Runs all events, and those that they ask for. */
  run(): void {
    for (let event = this.#take(); event !== undefined; event = this.#take()) {
      this.now = event.at;
      event.run();
    }
  }

  #take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}
