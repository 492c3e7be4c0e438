export {
  type HealthCheck,
  type HealthCheckOptions,
  type HealthVerdict,
  startHealthCheck,
} from "./health-check.ts";
export {
  createOutlierDetector,
  type Ejectable,
  type OutlierDetector,
  type OutlierRecord,
} from "./outlier.ts";
export { probeTcp } from "./tcp-probe.ts";
