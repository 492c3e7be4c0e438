import type { Clock } from "sluice/plugin";

/**
 * What `work` comes to, or a rejection with what `late` answers once `ms` have passed. The work goes on then, and
 * nobody hears of its end unless `late` sees to it.
 */
export function withinTime<T>(clock: Clock, work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimeout(() => reject(late()), ms);
    work.then(resolve, reject).finally(cancel);
  });
}
