/** What `sluice demo` runs beside the gateway: pretend upstreams, the configuration and the lines to try. */
export { demoBanner } from "./banner.ts";
export { demoConfig } from "./config.ts";
export { type DemoPorts, freePorts } from "./ports.ts";
export { type DemoUpstreams, type DemoUrls, startDemoUpstreams } from "./upstreams.ts";
