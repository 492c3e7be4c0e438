import { nearest } from "sluice/plugin";
import { z } from "zod";
import { checkOrder, type Located } from "./cross-checks.ts";
import {
  child,
  type ConfigNode,
  entryOf,
  formatPath,
  isFailed,
  type MappingNode,
  type Path,
  textOf,
} from "./node.ts";
import { type Pipelines, repeatedStep } from "./pipelines.ts";
import { pathShape } from "./path-syntax.ts";
import { readNode } from "./read-node.ts";
import { matchOf } from "./schema-match.ts";
import { ACTIONS, actionOf, type RouteInput, routeSchema } from "./schema-route.ts";
import type { Scope } from "./scope.ts";
import { describeNamed } from "./secrets.ts";
import type { StepItem, StepReader } from "./steps.ts";
import type { MatchConfig, RouteConfig, StepConfig } from "./types.ts";

/** A route as far as it could be read. */
export interface ReadRoute extends Located {
  /** `name`, or `routes[N]`. */
  readonly name: string;
  /** Where the name stands; the name is undefined for a nameless route. */
  readonly title: Located & { readonly name: string | undefined };
  /** Its requests; something that covers nothing and is covered by nothing where the match is wrong. */
  readonly match: MatchConfig | undefined;
  readonly items: readonly StepItem[];
  /** The upstream that it names, known or not. */
  readonly upstream: string | undefined;
  readonly config: RouteConfig | undefined;
}

export interface RouteContext {
  readonly scope: Scope;
  readonly steps: StepReader;
  readonly pipelines: Pipelines;
  /** Names, those of upstreams that are wrong inside included. */
  readonly upstreams: ReadonlySet<string>;
  /** False when upstreams may stand in files that could not be read. */
  readonly complete: boolean;
}

const schema = routeSchema(z.unknown());

/** Reads the items of `routes`. */
export class RouteReader {
  readonly #context: RouteContext;

  constructor(context: RouteContext) {
    this.#context = context;
  }

  read(node: ConfigNode, index: number): ReadRoute {
    const { steps, pipelines, scope } = this.#context;
    const path: Path = ["routes", index];
    const given = textOf(child(node, "name"));
    const name = given ?? `routes[${index}]`;
    const items = steps.read(child(node, "pipeline"), [...path, "pipeline"], name);
    const spliced = pipelines.stepsOf(items);
    const value = readNode(schema, withoutPipeline(node), path, scope.problems)?.value;
    if (node.kind === "mapping") {
      this.#checkAction(node, path, items, spliced);
      this.#checkUpstream(child(node, "upstream"), [...path, "upstream"]);
      this.#checkSteps(node, path, spliced);
    }
    const match =
      value === undefined
        ? undefined
        : matchOf(value.match, child(node, "match"), [...path, "match"], scope.problems);
    return {
      name,
      title: { name: given, place: child(node, "name")?.place ?? node.place, path: [...path, "name"] },
      match,
      items,
      upstream: textOf(child(node, "upstream")),
      config:
        value === undefined || match === undefined
          ? undefined
          : this.#config(name, value, match, spliced, node, path),
      place: node.place,
      path,
    };
  }

  #config(
    name: string,
    value: RouteInput,
    match: MatchConfig,
    steps: readonly StepConfig[],
    node: ConfigNode,
    path: Path,
  ): RouteConfig {
    const { problems } = this.#context.scope;
    const stripPrefix = value.rewrite?.strip_prefix;
    if (stripPrefix !== undefined && match.path !== undefined && !mayBegin(match.path, stripPrefix)) {
      const at = child(child(node, "rewrite"), "strip_prefix") ?? node;
      const message = `takes nothing off, no path that ${JSON.stringify(match.path)} matches begins with it`;
      problems.warn(at.place, formatPath([...path, "rewrite", "strip_prefix"]), message);
    }
    return {
      name,
      match,
      rewrite: value.rewrite === undefined ? undefined : { stripPrefix, replace: value.rewrite.replace },
      steps,
      action: actionOf(value, node, path, problems),
      place: node.place,
    };
  }

  #checkAction(
    node: MappingNode,
    path: Path,
    items: readonly StepItem[],
    steps: readonly StepConfig[],
  ): void {
    const { problems } = this.#context.scope;
    const [first, second] = node.entries.filter(({ key }) => (ACTIONS as readonly string[]).includes(key));
    if (second !== undefined) {
      const message = `stands beside ${first!.key}, expected one of upstream, respond and redirect`;
      problems.error(second.keyPlace, formatPath([...path, second.key]), message);
    }
    if (first !== undefined || steps.some((step) => step.definition.providesCandidates === true)) return;
    // A step that could not be read might have chosen an upstream.
    if (!this.#context.pipelines.isWhole(items)) return;
    problems.error(
      node.place,
      formatPath(path),
      "answers nothing, expected one of upstream, respond and redirect",
    );
  }

  #checkUpstream(node: ConfigNode | undefined, path: Path): void {
    const { upstreams, complete, scope } = this.#context;
    const name = textOf(node);
    if (name === undefined || name === "" || isFailed(node) || upstreams.has(name) || !complete) return;
    const suggestion =
      node?.kind === "scalar" && node.interpolated !== undefined ? undefined : nearest(name, upstreams);
    const hint = suggestion === undefined ? {} : { suggestion };
    scope.problems.error(node!.place, formatPath(path), `unknown ${describeNamed("upstream", node)}`, hint);
  }

  #checkSteps(node: MappingNode, path: Path, steps: readonly StepConfig[]): void {
    const { problems } = this.#context.scope;
    const at = entryOf(node, "pipeline");
    if (at === undefined) return;
    const below = [...path, "pipeline"];
    if (repeatedStep(steps) !== undefined) {
      problems.warn(
        at.keyPlace,
        formatPath(below),
        "a pipeline is used twice, its steps run twice for one request",
      );
    }
    checkOrder(steps, below, problems);
  }
}

function withoutPipeline(node: ConfigNode): ConfigNode {
  if (node.kind !== "mapping") return node;
  return { ...node, entries: node.entries.filter(({ key }) => key !== "pipeline") };
}

/** Whether a path that the pattern matches can begin with the prefix. */
function mayBegin(pattern: string, prefix: string): boolean {
  const { segments, rest } = pathShape(pattern);
  const wanted = pathShape(prefix.replace(/\/$/, "")).segments;
  return wanted.every((segment, index) => {
    const own = segments[index];
    return own === undefined ? rest : own === segment || own.startsWith(":");
  });
}
