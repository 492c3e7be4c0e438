import { ERROR_CODES, SluiceError } from "sluice/plugin";
import type { Observer } from "../pipeline/types.ts";
import { originOf } from "./attribution.ts";
import { restorePositions } from "./stack-positions.ts";

/** The part of a process that tells of failures which nobody waited for. */
export interface FailureSource {
  on(event: "unhandledRejection" | "uncaughtException", listener: (error: unknown) => void): unknown;
  off(event: "unhandledRejection" | "uncaughtException", listener: (error: unknown) => void): unknown;
}

/**
 * Keeps the process alive when a promise rejects, or a callback throws, outside of everything that waits for
 * it. The observer is told, and a request whose plugin it was fails closed: it gets 500 if nothing was sent
 * yet and is cut otherwise; where the step's `on_error` is `continue`, it goes on. What cannot be traced to a
 * plugin is a defect of the gateway: the observer is told that too. Answers a function that takes the handlers
 * off again.
 */
export function installStrayFailureHandlers(
  observer: Pick<Observer, "strayFailure">,
  source: FailureSource = process,
): () => void {
  const handle = (error: unknown): void => {
    // A throw from here would end the process, which is the one thing that this is there to prevent.
    try {
      const origin = originOf(error);
      restorePositions(error);
      const exchange = origin?.run?.exchange;
      observer.strayFailure(origin?.plugin, error, exchange);
      if (origin?.run === undefined || exchange === undefined) return;
      if (exchange.tolerated?.has(origin.run.step) === true) return;
      exchange.record.failedStep ??= origin.run.step;
      // Without a cause: the observer has the error already.
      exchange.cancel(
        new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, { reason: "stray_rejection" }),
      );
    } catch {
      // Nobody is left to tell.
    }
  };
  source.on("unhandledRejection", handle);
  source.on("uncaughtException", handle);
  return () => {
    source.off("unhandledRejection", handle);
    source.off("uncaughtException", handle);
  };
}
