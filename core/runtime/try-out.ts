import { setImmediate } from "node:timers/promises";
import type { Clock, Random } from "sluice/plugin";
import type { Problem } from "../../config/index.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import { createKeep } from "../services/keep.ts";
import { createLog } from "../services/log.ts";
import { createMetrics } from "../services/metrics.ts";
import { createObserver } from "../services/observer.ts";
import { UpstreamEvents } from "../upstream/index.ts";
import { buildGeneration } from "./generation.ts";
import type { LoadedConfig } from "./load.ts";

/**
 * Sets a configuration up as a start would, every plugin's `setup` included, and closes it again; nothing listens.
 * Answers what a start would refuse. The configuration is given back.
 */
export async function tryOut(
  loaded: LoadedConfig,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<readonly Problem[]> {
  // What a plugin has to say belongs to a run.
  const nowhere = { write: () => undefined, close: () => Promise.resolve() };
  const log = createLog(nowhere, clock, loaded.config.log);
  const metrics = createMetrics();
  const built = await buildGeneration(1, loaded, {
    ...{ clock, random, log, metrics },
    observer: createObserver({ metrics, log, clock, accessLog: () => false }),
    keep: createKeep(),
    upstreamEvents: new UpstreamEvents(log),
    sweep: createDeadlineSweep(clock),
    // Whether a name is there when somebody looks says nothing about the configuration.
    lookUp: () => new Promise(() => undefined),
    pseudonym: "sluice",
  });
  // A rejection that nobody waits for is told of when the turn that it happened in is over; by then, whose it is must
  // still be known.
  await setImmediate();
  if (built.ok) {
    await built.generation.retire();
    return [];
  }
  loaded.release();
  return built.problems;
}
