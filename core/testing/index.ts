/** The public face of Sluice for tests of plugins: `import { runPlugin } from "sluice/testing"`. */
export { createFakeClock, type FakeClock } from "./fake-clock.ts";
export {
  fakeUpstream,
  type FakeUpstream,
  type FakeUpstreamOptions,
  type FetchHandler,
  type SeenRequest,
} from "./fake-upstream.ts";
export {
  type PluginTestOptions,
  runPlugin,
  type RunningPlugin,
  startPlugin,
  type TestRequest,
} from "./run-plugin.ts";
export { createSeededRandom } from "./seeded-random.ts";
export {
  createMemoryLog,
  createMemoryMetrics,
  createTestServices,
  fixedUpstreams,
  type LogLine,
  type MemoryLog,
  type MemoryMetrics,
  type TestServices,
} from "./test-services.ts";
