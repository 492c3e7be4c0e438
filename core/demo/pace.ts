import type { Clock } from "sluice/plugin";

/** Resolves after `ms`, or at once and with false when the signal fires first. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const over = (): void => {
      cancel();
      resolve(false);
    };
    const cancel = clock.setTimeout(() => {
      signal.removeEventListener("abort", over);
      resolve(true);
    }, ms);
    signal.addEventListener("abort", over, { once: true });
  });
}

/** One server-sent event; `event` and `id` lines where they are given. */
export function sse(data: unknown, event?: string, id?: number): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return `${event === undefined ? "" : `event: ${event}\n`}${id === undefined ? "" : `id: ${id}\n`}data: ${text}\n\n`;
}

/**
 * An answer of server-sent events: the first at once, each later one after `ms` more, as a service sends them
 * that works between two of them. Ends early when the reader leaves.
 */
export function eventStream(clock: Clock, ms: number, events: readonly string[]): Response {
  const gone = new AbortController();
  const encoder = new TextEncoder();
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next > 0 && !(await pause(clock, ms, gone.signal))) return;
      const event = events[next++];
      if (event !== undefined) controller.enqueue(encoder.encode(event));
      if (next >= events.length) controller.close();
    },
    cancel() {
      gone.abort();
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" },
  });
}
