/*
 * What the format documents and this version does not do yet. It is refused as such, never ignored and never
 * called a typing mistake.
 */

/** Built-in plugins of later versions. Third parties cannot take these names. */
export const PLANNED_PLUGINS: ReadonlySet<string> = new Set([
  "auth",
  "batch",
  "budget",
  "bulkhead",
  "cache",
  "circuit-breaker",
  "compress",
  "cors",
  "cost-router",
  "dedupe",
  "grpc-bridge",
  "guardrails",
  "ip-filter",
  "llm",
  "mirror",
  "rate-limit",
  "request-validation",
  "split",
  "tasks",
  "timeout",
]);

/** What may stand in a step beside the plugin. */
export const STEP_KEYS: ReadonlySet<string> = new Set(["id", "when", "on_error", "timeout", "use"]);

/** The words for it in errors. */
export const NOT_AVAILABLE = "is not available in this version";
