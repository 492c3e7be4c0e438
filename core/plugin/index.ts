/** The public face of Sluice for plugin authors: `import { definePlugin } from "sluice/plugin"`. */
export {
  type Body,
  type BodyProducer,
  BodyQueue,
  BytesBody,
  collect,
  type PolledBody,
  StreamBody,
  streamOf,
} from "./body.ts";
export { CONSUMER, type ContextKey, contextKey, TENANT, TRACE_ID } from "./context-key.ts";
export {
  type AnyPlugin,
  API_VERSION,
  definePlugin,
  isPluginDefinition,
  type PluginDefinition,
  type PluginInstance,
} from "./define.ts";
export {
  ConfigError,
  ERROR_CODES,
  type ErrorCode,
  type FailureOwner,
  SluiceError,
  type SluiceErrorOptions,
} from "./errors.ts";
export {
  type CallProtocol,
  type Candidate,
  type ClientCertificate,
  type ConnectionFacts,
  EXCHANGE,
  type Exchange,
  exchangeOf,
  type ExchangeRequest,
  type ExchangeResponse,
  type HttpVersion,
  type Outcome,
  type TlsFacts,
} from "./exchange.ts";
export { FixedHeaders } from "./fixed-headers.ts";
export { headerMap, headerName } from "./header-name.ts";
export { HeaderList, TOKEN } from "./headers.ts";
export { type BodyMap, mapBody } from "./map-body.ts";
export { nearest } from "./nearest.ts";
export type {
  BulkheadOptions,
  BulkheadPolicy,
  CircuitBreakerOptions,
  CircuitBreakerPolicy,
  CircuitPermit,
  CircuitState,
  FailedCall,
  Policies,
  Policy,
  PolicyEvent,
} from "./policies.ts";
export type { Clock, Counter, Gauge, Histogram, Log, Metrics, Random, Services } from "./services.ts";
export type {
  NameView,
  TargetStatus,
  TargetView,
  UpstreamEvent,
  Upstreams,
  UpstreamView,
} from "./upstreams.ts";
