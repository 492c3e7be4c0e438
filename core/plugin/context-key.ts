/** A typed key into a request's context. Two keys of one name are different keys. */
export interface ContextKey<T> {
  readonly name: string;
  readonly initial: T;
}

/** Makes a key; `initial` is what `exchange.get(key)` answers until somebody sets it. */
export function contextKey<T>(name: string, initial: T): ContextKey<T> {
  return Object.freeze({ name, initial });
}

/** Who calls: set by `auth`, read by limits, budgets and the log. */
export const CONSUMER: ContextKey<string | undefined> = contextKey("consumer", undefined);
export const TENANT: ContextKey<string | undefined> = contextKey("tenant", undefined);
/** The W3C trace id (32 hex digits) that the request belongs to. */
export const TRACE_ID: ContextKey<string | undefined> = contextKey("trace-id", undefined);
