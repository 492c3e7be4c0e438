/** Does `work` on every item, a few at a time, and answers the results by item. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<ReadonlyMap<T, R>> {
  const results = new Map<T, R>();
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) results.set(item, await work(item));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
