import type { AnyPlugin } from "sluice/plugin";
import headers from "./headers/plugin.ts";
import requestId from "./request-id/plugin.ts";
import securityHeaders from "./security-headers/plugin.ts";

/** Every plugin that comes with Sluice; the only list of them. */
export const BUILT_IN_PLUGINS: readonly AnyPlugin[] = [headers, requestId, securityHeaders];
