import type { Clock, Exchange, ExchangeResponse, SluiceError } from "sluice/plugin";
import type { RouteConfig } from "../../config/types.ts";
import { compileCondition } from "./condition.ts";
import type { DeadlineSweep } from "./deadline-sweep.ts";
import { errorResponse } from "./error-response.ts";
import type { HttpExchange } from "./exchange.ts";
import { compileHonoMatch } from "./hono-match.ts";
import { nextStep, PipelineRun, type Plan, type Terminal } from "./pipeline-run.ts";
import type { Observer, ReadyRoute, ReadyStep } from "./types.ts";

export interface ComposeDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly observer: Pick<Observer, "stepFinished" | "strayFailure">;
  /** One for the process: it outlives reloads. */
  readonly sweep: DeadlineSweep;
}

/**
 * Compiles a route: its steps around its action.
 *
 * - A step whose `when` does not hold is not there.
 * - `next()` may run more than once, one run after the other. Each begins without an answer; path, query, body
 *   and the headers prepared for the answer are after each what they were before it. A second run needs a request
 *   body that was not read or was kept (a plugin that read it, or put bytes in its place, has kept it).
 * - An error becomes an answer where it happens. The steps above go on after their `next()` and find it in
 *   `c.error`; nothing is thrown at them.
 * - A SluiceError or a Hono HTTPException that a step throws is its answer. Anything else it throws is
 *   `plugin_failed`; a step whose own time exceeds its `timeout` is `plugin_timeout`; one that neither calls
 *   `next()` nor answers is `plugin_failed` with the reason `no_response`. With `on_error: continue` a failure
 *   leaves the request as if the step were not there (headers that it changed on the request stay); a refusal
 *   is no failure.
 * - A step that was given up keeps a context that has no effect any more.
 * - Answers are sent when the whole pipeline is through, so no step can fail after the head has left.
 */
export function composeRoute(
  config: RouteConfig,
  steps: readonly ReadyStep[],
  terminal: Terminal,
  deps: ComposeDeps,
): ReadyRoute {
  const { action } = config;
  const candidates =
    action.kind === "upstream" && action.upstream !== undefined
      ? Object.freeze([Object.freeze({ upstream: action.upstream })])
      : Object.freeze([]);
  const formatters = steps.filter((step) => step.instance.formatError !== undefined);

  function formatError(exchange: Exchange, error: SluiceError): ExchangeResponse | undefined {
    for (const { config: step, instance } of formatters) {
      try {
        const answer = instance.formatError?.(exchange, error);
        if (answer !== undefined) return answer;
      } catch (thrown) {
        deps.observer.strayFailure(step.plugin, thrown, undefined);
      }
    }
    return undefined;
  }

  const onErrorContinue = steps.filter((step) => step.config.onError === "continue");
  const tolerated =
    onErrorContinue.length === 0 ? undefined : new Set(onErrorContinue.map((step) => step.config.key));

  const plan: Plan = {
    ...deps,
    route: config.name,
    steps,
    conditions: steps.map(({ config: { when } }) =>
      when === undefined ? undefined : compileCondition(when),
    ),
    terminal,
    matchOf: compileHonoMatch(config.match.path),
    errorAnswer: (exchange, error) => formatError(exchange, error) ?? errorResponse(exchange, error),
  };

  return {
    config,
    steps,
    formatError,
    run(exchange) {
      exchange.candidates = candidates;
      exchange.tolerated = tolerated;
      // The gateway makes every exchange, and it makes no other.
      const own = exchange as HttpExchange;
      const first = nextStep(plan, own, 0);
      return first === steps.length ? terminal(exchange) : new PipelineRun(plan, own).start(first);
    },
  };
}
