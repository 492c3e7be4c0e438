import { type AnyPlugin, type Clock, ConfigError, type Random, SluiceError } from "sluice/plugin";
import { defaultListener, formatProblem } from "../../config/index.ts";
import type { AdminConfig, ListenerConfig } from "../../config/types.ts";
import { createAdminApp } from "../admin/app.ts";
import { serveApp } from "../admin/serve.ts";
import type { ReloadResult } from "../admin/source.ts";
import { createDeadlineSweep } from "../pipeline/deadline-sweep.ts";
import { createGateway, type Gateway } from "../pipeline/gateway.ts";
import type { Observer } from "../pipeline/types.ts";
import { createKeep } from "../services/keep.ts";
import type { RootLog } from "../services/log.ts";
import { createMetrics, type MetricsRegistry } from "../services/metrics.ts";
import { createObserver } from "../services/observer.ts";
import { addProcessMetrics } from "../services/process-metrics.ts";
import { withinTime } from "../services/within-time.ts";
import { UpstreamEvents } from "../upstream/index.ts";
import { AdminView } from "./admin-view.ts";
import { ReadinessWatch, waitFor, type Wait } from "./drain.ts";
import {
  buildGeneration,
  type BuildOutcome,
  type GenerationServices,
  type RunningGeneration,
} from "./generation.ts";
import { ListenerSet } from "./listeners.ts";
import { connectionsWithin, openFileLimit } from "./open-files.ts";
import { loadConfig, type LoadedConfig } from "./load.ts";
import { StartError } from "./start-error.ts";
import { createFileWatcher, type FileWatcher } from "./watch.ts";

export { StartError } from "./start-error.ts";

export interface RuntimeOptions {
  /** Absolute path of the main configuration file. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly builtins: readonly AnyPlugin[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: RootLog;
  /** The process's limit of open files. @default what the system says */
  readonly openFiles?: number;
}

/** How long a reload that waits for a plugin's setup goes on doing so when a newer one is asked for, milliseconds. */
const SUPERSEDED_AFTER_MS = 2_000;

/** A limit of open files that leaves room for fewer connections is worth a word: 1,024 is what a shell gives. */
const FEW_CONNECTIONS = 4_000;

/**
 * Reloads between two full garbage collections. A configuration that was in use survives the quick ones, and left alone
 * the heap grows to several times its size before the runtime makes a full one, which takes some 10 ms: 10,000 reloads
 * under load held 270 MB without this and 130 MB with it.
 */
const COLLECT_EVERY = 50;

/** Routes of a configuration that is worth a garbage collection of some 50 ms after the start. */
const LARGE_CONFIGURATION = 1_000;

/** Connections of the admin listener; they are few, and must not take the gateway's. */
const ADMIN_CONNECTIONS = 64;

/** A gateway that runs. */
export interface Runtime {
  readonly observer: Observer;
  /** Reads the configuration again and takes it over whole, or leaves everything as it is and says why. */
  reload(trigger: string): Promise<ReloadResult>;
  /**
   * Readiness fails, health checkers get the time to see it, listeners close, running requests finish within
   * `shutdown_timeout`; what remains is cut. Resolves with the number of requests that were cut.
   */
  shutdown(): Promise<number>;
  /** Ends the grace of a shutdown that is under way. */
  cutNow(): void;
}

/** Starts a gateway. @throws StartError when it cannot run as configured; nothing listens then */
export async function startRuntime(options: RuntimeOptions, loaded: LoadedConfig): Promise<Runtime> {
  const runtime = new GatewayRuntime(options, loaded);
  await runtime.start(loaded);
  return runtime;
}

class GatewayRuntime implements Runtime {
  readonly observer: Observer;
  readonly #options: RuntimeOptions;
  readonly #metrics: MetricsRegistry;
  readonly #services: GenerationServices;
  readonly #gateway: Gateway;
  readonly #listeners: ListenerSet;
  readonly #admin: ListenerSet;
  readonly #adminView: AdminView;
  readonly #readiness: ReadinessWatch;
  readonly #watcher: FileWatcher;
  #current!: RunningGeneration;
  #state: "starting" | "ready" | "draining" = "starting";
  #reloading: Promise<unknown> = Promise.resolve();
  /** Ends the setups that the reload under way waits for. */
  #impatience: AbortController | undefined;
  #wait: Wait | undefined;
  #hurried = false;
  #stopped: Promise<number> | undefined;

  constructor(options: RuntimeOptions, first: LoadedConfig) {
    const { clock, random, log } = options;
    this.#options = options;
    this.#metrics = createMetrics();
    addProcessMetrics(this.#metrics, clock.now());
    let accessLog = first.config.log.access;
    this.observer = createObserver({ metrics: this.#metrics, log, clock, accessLog: () => accessLog });
    this.#services = {
      ...{ clock, random, log, metrics: this.#metrics, observer: this.observer },
      keep: createKeep(),
      sweep: createDeadlineSweep(clock),
      upstreamEvents: new UpstreamEvents(log),
      // Unique among the proxies of a path, so that a loop can be told from a chain.
      pseudonym: `sluice-${random.hex(3)}`,
    };
    this.#readiness = new ReadinessWatch(clock, () => this.#gateway.begun);
    this.#gateway = createGateway({
      ...{ clock, random, observer: this.observer, pseudonym: this.#services.pseudonym },
      current: () => this.#current,
      ready: (checker) => {
        this.#readiness.asked(checker);
        return this.#state === "ready";
      },
    });
    this.#takeOver = (generation) => {
      // The very first has none before it.
      const before: RunningGeneration | undefined = this.#current;
      this.#current = generation;
      generation.upstreams.activate(before?.upstreams);
      accessLog = generation.loaded.config.log.access;
    };
    this.#metrics.sampled(
      "counter",
      "sluice_log_lines_dropped_total",
      "Log lines dropped because nobody read them.",
      () => [{ labels: {}, value: log.dropped }],
    );
    const refusals = this.#metrics.counterCells(
      "refused_connections_total",
      "Connections refused, by cause.",
      ["cause"],
    );
    const openFiles = options.openFiles ?? openFileLimit();
    const maxConnections = openFiles === undefined ? Number.POSITIVE_INFINITY : connectionsWithin(openFiles);
    if (maxConnections < FEW_CONNECTIONS)
      log.warn(
        { open_files: openFiles, connections: maxConnections },
        "the limit of open files is low, and fewer connections are accepted for it: raise it (ulimit -n, LimitNOFILE)",
      );
    const shared = {
      clock,
      log,
      maxConnections,
      refused: (kind: string) => void refusals.cell(kind).value++,
    };
    this.#listeners = new ListenerSet({
      ...shared,
      trusts: (address) => this.#current.trusts(address),
      handler: (config) => this.#gateway.forListener(config),
    });
    this.#adminView = new AdminView({
      metrics: this.#metrics,
      log,
      clock,
      upstreamEvents: this.#services.upstreamEvents,
      generation: () => this.#current,
      state: () => this.#state,
      readinessAsked: (checker) => this.#readiness.asked(checker),
      listeners: () => this.#listeners.addresses,
      active: () => this.#gateway.active,
      connections: () => this.#listeners.connections,
      reload: () => this.reload("admin API"),
    });
    const app = serveApp(createAdminApp(this.#adminView), { random });
    this.#admin = new ListenerSet({
      ...shared,
      maxConnections: Math.min(maxConnections, ADMIN_CONNECTIONS),
      trusts: () => false,
      handler: () => app,
    });
    this.#watcher = createFileWatcher(clock, () => void this.reload("file change"));
  }

  readonly #takeOver: (generation: RunningGeneration) => void;

  async start(loaded: LoadedConfig): Promise<void> {
    const { log } = this.#options;
    const generation = await this.#build(1, loaded);
    this.#takeOver(generation);
    try {
      const admin = await this.#admin.prepare(adminListeners(loaded.config.admin));
      try {
        (await this.#listeners.prepare(loaded.config.listeners)).commit();
      } catch (error) {
        admin.abort();
        throw error;
      }
      admin.commit();
    } catch (error) {
      await generation.retire();
      throw error;
    }
    await this.#watcher.watch(loaded.files);
    this.#state = "ready";
    for (const address of this.#admin.addresses) log.info({ role: "admin", address }, "listening");
    for (const address of this.#listeners.addresses) log.info({ role: "gateway", address }, "listening");
    log.info({ file: loaded.config.file, routes: loaded.config.routes.length }, "ready");
    // What reading a large configuration has left behind would stay for long: 205 MB with 10,000 routes, 157 after this.
    if (loaded.config.routes.length >= LARGE_CONFIGURATION) Bun.gc(true);
  }

  reload(trigger: string): Promise<ReloadResult> {
    // One after the other: each reads the files as they are when its turn comes.
    const before = this.#impatience;
    if (before !== undefined) {
      this.#options.clock.setTimeout(
        () => before.abort(new ConfigError("its setup had not ended when a newer reload was asked for")),
        SUPERSEDED_AFTER_MS,
      );
    }
    const result = this.#reloading.then(() => this.#reload(trigger));
    this.#reloading = result.catch(() => undefined);
    return result;
  }

  async #reload(trigger: string): Promise<ReloadResult> {
    const { log, clock } = this.#options;
    const begun = clock.monotonic();
    const number = this.#current.number;
    if (this.#state !== "ready")
      return { ok: false, generation: number, errors: ["the gateway is not running"] };
    let result: ReloadResult;
    const impatience = (this.#impatience = new AbortController());
    try {
      const warnings = await this.#replace(number + 1, impatience.signal);
      const ms = Math.round(clock.monotonic() - begun);
      log.info({ trigger, generation: number + 1, warnings, ms }, "reloaded");
      result = { ok: true, generation: number + 1, warnings };
    } catch (error) {
      const errors = reasonsOf(error);
      const defect = error instanceof StartError ? {} : { err: error };
      log.error({ trigger, generation: number, errors, ...defect }, "reload rejected");
      result = { ok: false, generation: number, errors };
    } finally {
      this.#impatience = undefined;
    }
    this.#adminView.reloaded(result);
    return result;
  }

  /** Answers the warnings. @throws StartError with what is wrong; nothing has changed then */
  async #replace(number: number, signal: AbortSignal): Promise<readonly string[]> {
    const { file, env, builtins, log } = this.#options;
    const before = await this.#watcher.signatures();
    const outcome = await loadConfig(file, env, builtins);
    // A broken file is watched as well: mending it is the next thing that happens to it.
    await this.#watcher.watch(
      outcome.ok ? outcome.loaded.files : [...new Set([...outcome.files, ...this.#current.loaded.files])],
      before,
    );
    if (!outcome.ok) throw new StartError("the configuration is invalid", outcome.problems);
    const { loaded } = outcome;
    const generation = await this.#build(number, loaded, signal);
    try {
      const admin = await this.#admin.prepare(adminListeners(loaded.config.admin));
      try {
        const listeners = await this.#listeners.prepare(loaded.config.listeners);
        // A drain may have begun meanwhile: what it has closed must not be opened again.
        if (this.#state === "draining") {
          listeners.abort();
          throw new StartError("the gateway is shutting down");
        }
        const old = this.#current;
        this.#takeOver(generation);
        listeners.commit();
        admin.commit();
        log.configure(loaded.config.log);
        void old.retire().then(() => {
          if (number % COLLECT_EVERY === 0) Bun.gc(true);
        });
      } catch (error) {
        admin.abort();
        throw error;
      }
    } catch (error) {
      await generation.retire();
      throw error;
    }
    return loaded.warnings.map((problem) => formatProblem(problem, process.cwd()));
  }

  /** @throws StartError with every problem; nothing of the configuration is held then */
  async #build(number: number, loaded: LoadedConfig, signal?: AbortSignal): Promise<RunningGeneration> {
    let built: BuildOutcome;
    try {
      built = await buildGeneration(number, loaded, this.#services, signal);
    } catch (error) {
      loaded.release();
      throw error;
    }
    if (built.ok) return built.generation;
    loaded.release();
    throw new StartError("the configuration cannot be set up", built.problems);
  }

  shutdown(): Promise<number> {
    return (this.#stopped ??= this.#shutdown());
  }

  async #shutdown(): Promise<number> {
    const { log, clock } = this.#options;
    const grace = this.#current.loaded.config.shutdownTimeout;
    this.#state = "draining";
    this.#watcher.close();
    this.#impatience?.abort(new ConfigError("its setup had not ended when the gateway was stopped"));
    log.info({ active: this.#gateway.active, grace_ms: grace }, "draining");
    const begun = clock.monotonic();
    // Half of the grace at most: running requests need the rest.
    if (this.#readiness.leave()) await this.#waitFor(() => this.#readiness.understood, grace / 2);
    this.#listeners.drain();
    const left = Math.max(0, grace - (clock.monotonic() - begun));
    await this.#waitFor(() => this.#gateway.active === 0 && this.#listeners.connections === 0, left);
    const cut = this.#gateway.cutAll(
      new SluiceError("draining", "The gateway was shut down.", { reason: "shutdown" }),
    );
    // What was cut is still told so: closing at once would overtake the answers (RFC 9112 §9.6).
    if (cut > 0) {
      await this.#waitFor(() => this.#gateway.active === 0, 1_000, true);
      await this.#waitFor(() => this.#listeners.connections === 0, 250, true);
    }
    this.#listeners.close();
    // A plugin whose setup or close hangs must not keep the process.
    await this.#atMost(this.#reloading, 1_000);
    await this.#atMost(this.#current.retire(), 5_000);
    this.#admin.close();
    log.info({ cut, ms: Math.round(clock.monotonic() - begun) }, "stopped");
    return cut;
  }

  cutNow(): void {
    this.#hurried = true;
    this.#wait?.hurry();
  }

  async #atMost(work: Promise<unknown>, limit: number): Promise<void> {
    await withinTime(this.#options.clock, work, limit, () => new Error("it took too long")).catch(ignore);
  }

  async #waitFor(holds: () => boolean, limit: number, patient = false): Promise<void> {
    if (this.#hurried && !patient) return;
    const wait = waitFor(this.#options.clock, holds, limit);
    if (!patient) this.#wait = wait;
    await wait.done;
    this.#wait = undefined;
  }
}

/** The admin API's listener in the words of any other: the defaults for everything that it does not name. */
function adminListeners(admin: AdminConfig | undefined): readonly ListenerConfig[] {
  return admin === undefined ? [] : [{ ...defaultListener(admin.place), address: admin.address }];
}

/** What is wrong, one line each. */
function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof StartError && error.problems.length > 0)
    return error.problems.map((problem) => formatProblem(problem, process.cwd()));
  return [error instanceof Error ? error.message : String(error)];
}

/** The process ends all the same. */
function ignore(): void {}
