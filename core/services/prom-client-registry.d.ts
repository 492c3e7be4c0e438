// The package's index also evaluates its cluster, push gateway and tracing parts: 8 MB of memory that nobody uses.
declare module "prom-client/lib/registry.js" {
  import type { Registry } from "prom-client";

  const registry: typeof Registry;
  export default registry;
}
