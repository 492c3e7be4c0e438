import { type Clock, SluiceError } from "sluice/plugin";
import type { GatewayExchange } from "../pipeline/types.ts";

/** How a wait is told to end before its time. */
export type OnCancel = (cancel: (reason: unknown) => void) => void;

/**
 * Waits, but no longer than the request lives and may take.
 * @param until monotonic milliseconds; `Infinity` for no limit.
 * @param wait is given a way to be told that it is over; it rejects with the reason then.
 * @throws what `wait` rejects with, and SluiceError `upstream_timeout`, reason `timeout.request`
 */
export async function waitWithin<T>(
  x: GatewayExchange,
  clock: Pick<Clock, "monotonic" | "setTimeout">,
  until: number,
  wait: (onCancel: OnCancel) => Promise<T>,
): Promise<T> {
  const undo: (() => void)[] = [];
  try {
    return await wait((cancel) => {
      undo.push(x.onCancel(cancel));
      if (until !== Number.POSITIVE_INFINITY)
        undo.push(clock.setTimeout(() => cancel(tookTooLong()), Math.max(0, until - clock.monotonic())));
    });
  } finally {
    for (const one of undo) one();
  }
}

/** Turns a promise into something that can be told to end. */
export function cancellable<T>(work: Promise<T>): (onCancel: OnCancel) => Promise<T> {
  return (onCancel) =>
    new Promise((resolve, reject) => {
      work.then(resolve, reject);
      onCancel(reject);
    });
}

/** The time of the whole exchange is over: reason `timeout.request`. */
export function tookTooLong(): SluiceError {
  return new SluiceError("upstream_timeout", "the whole exchange took too long", {
    reason: "timeout.request",
  });
}
