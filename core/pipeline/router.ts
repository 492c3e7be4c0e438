import type { MatchConfig } from "../../config/types.ts";
import { hostMatches, hostOf, type HostPattern, hostPattern } from "./host-pattern.ts";
import { type FieldFacts, fieldChecks, headersMatch, methodMatches, queryMatches } from "./match-fields.ts";
import { type PathPattern, pathMatches, pathPattern, segmentEnd } from "./path-pattern.ts";

/** What a route is chosen by. */
export interface RouteFacts extends FieldFacts {
  /** The authority as sent, port and letter case included. */
  readonly host: string;
  /** In normal form. */
  readonly path: string;
}

/** Why a route was or was not taken. */
export interface RouteVerdict {
  /** Index in file order. */
  readonly route: number;
  /** `shadowed`: it matches, and an earlier route does so as well. */
  readonly outcome: "taken" | "shadowed" | "missed";
  /** What did not hold, one sentence a field; empty unless `missed`. */
  readonly reasons: readonly string[];
}

export interface Router {
  /** The index of the first route in file order that matches, or -1. */
  match(facts: RouteFacts): number;
  /** Every route's verdict, in file order. Costs a look at each route: for `sluice explain`. */
  explain(facts: RouteFacts): RouteVerdict[];
}

/**
 * Compiles routes once, so that a request among 10,000 of them costs about what it costs among one: hosts and
 * paths are looked up, and only what both agree with is looked at by method, header and query.
 * @throws TypeError for a path that cannot be matched.
 */
export function compileRouter(routes: readonly { readonly match: MatchConfig }[]): Router {
  return new IndexedRouter(routes.map((route) => route.match));
}

/** Route indexes in ascending order: the first that fits is the one. */
type Candidates = number[];

/** Segments of the paths that have a `:name` or end in `/*`. */
interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | undefined;
  /** Paths that end here. */
  readonly ends: Candidates;
  /** Paths whose `/*` stands here. */
  readonly rests: Candidates;
  /** The lowest index in here and below. */
  first: number;
}

interface PathIndex {
  readonly anyPath: Candidates;
  readonly exact: Map<string, Candidates>;
  readonly tree: Node;
}

class IndexedRouter implements Router {
  readonly #matches: readonly MatchConfig[];
  readonly #paths: readonly (PathPattern | undefined)[];
  readonly #hosts: readonly (readonly HostPattern[])[];
  readonly #fields: readonly (((facts: FieldFacts) => boolean) | undefined)[];
  readonly #anyHost = pathIndex();
  readonly #exactHosts = new Map<string, PathIndex>();
  readonly #suffixes = new Map<string, PathIndex>();
  /** The most dots that a suffix has: a host's longer tails are not looked up. */
  #suffixDots = 0;
  // A search is synchronous, so its state may live here instead of in an object a request.
  #best = Number.POSITIVE_INFINITY;

  constructor(matches: readonly MatchConfig[]) {
    this.#matches = matches;
    this.#paths = matches.map((match) => (match.path === undefined ? undefined : pathPattern(match.path)));
    this.#hosts = matches.map((match) => match.hosts.map(hostPattern));
    this.#fields = matches.map(fieldChecks);
    matches.forEach((_, route) => this.#add(route));
  }

  match(facts: RouteFacts): number {
    this.#best = Number.POSITIVE_INFINITY;
    this.#searchIndex(this.#anyHost, facts);
    if (this.#exactHosts.size > 0 || this.#suffixes.size > 0) this.#searchHosts(hostOf(facts.host), facts);
    return this.#best === Number.POSITIVE_INFINITY ? -1 : this.#best;
  }

  explain(facts: RouteFacts): RouteVerdict[] {
    const taken = this.match(facts);
    return this.#matches.map((_, route) => {
      const reasons = this.#misses(route, facts);
      const outcome = reasons.length > 0 ? "missed" : route === taken ? "taken" : "shadowed";
      return { route, outcome, reasons };
    });
  }

  #add(route: number): void {
    const hosts = this.#hosts[route]!;
    if (hosts.length === 0) addPath(this.#anyHost, route, this.#paths[route]);
    for (const { kind, text } of hosts) {
      const byHost = kind === "exact" ? this.#exactHosts : this.#suffixes;
      if (kind === "suffix") this.#suffixDots = Math.max(this.#suffixDots, text.split(".").length - 1);
      let index = byHost.get(text);
      if (index === undefined) {
        index = pathIndex();
        byHost.set(text, index);
      }
      addPath(index, route, this.#paths[route]);
    }
  }

  #searchHosts(host: string, facts: RouteFacts): void {
    const exact = this.#exactHosts.get(host);
    if (exact !== undefined) this.#searchIndex(exact, facts);
    let dot = host.length;
    for (let dots = 0; dots < this.#suffixDots; dots++) {
      dot = host.lastIndexOf(".", dot - 1);
      // A suffix wants something in front of it.
      if (dot <= 0) return;
      const index = this.#suffixes.get(host.slice(dot));
      if (index !== undefined) this.#searchIndex(index, facts);
    }
  }

  #searchIndex(index: PathIndex, facts: RouteFacts): void {
    this.#consider(index.anyPath, facts);
    const exact = index.exact.size === 0 ? undefined : index.exact.get(facts.path);
    if (exact !== undefined) this.#consider(exact, facts);
    this.#searchTree(index.tree, 0, facts);
  }

  /** @param from index of the slash before the next segment, or the path's length. */
  #searchTree(node: Node, from: number, facts: RouteFacts): void {
    if (node.first >= this.#best) return;
    const path = facts.path;
    if (from === path.length) {
      this.#consider(node.rests, facts);
      this.#consider(node.ends, facts);
      return;
    }
    // Only `*` of `OPTIONS *` begins with anything else.
    if (path.charCodeAt(from) !== 0x2f) return;
    this.#consider(node.rests, facts);
    if (node.parameter === undefined && node.literals.size === 0) return;
    const end = segmentEnd(path, from + 1);
    const literal = node.literals.get(path.slice(from + 1, end));
    if (literal !== undefined) this.#searchTree(literal, end, facts);
    if (node.parameter !== undefined && end > from + 1) this.#searchTree(node.parameter, end, facts);
  }

  #consider(candidates: Candidates, facts: RouteFacts): void {
    for (const route of candidates) {
      if (route >= this.#best) return;
      const fields = this.#fields[route];
      if (fields !== undefined && !fields(facts)) continue;
      this.#best = route;
      return;
    }
  }

  #misses(route: number, facts: RouteFacts): string[] {
    const match = this.#matches[route]!;
    const reasons: string[] = [];
    const host = hostOf(facts.host);
    const hosts = this.#hosts[route]!;
    if (hosts.length > 0 && !hosts.some((pattern) => hostMatches(pattern, host)))
      reasons.push(`host ${host || "(none)"} is not ${match.hosts.join(" or ")}`);
    const path = this.#paths[route];
    if (path !== undefined && !pathMatches(path, facts.path))
      reasons.push(`path ${facts.path} does not match ${path.source}`);
    if (!methodMatches(match.methods, facts.method))
      reasons.push(`method ${facts.method} is not ${match.methods.join(" or ")}`);
    for (const wanted of match.headers) {
      if (!headersMatch([wanted], facts.headers)) reasons.push(missed("header", wanted));
    }
    for (const wanted of match.query) {
      if (!queryMatches([wanted], facts.search)) reasons.push(missed("query parameter", wanted));
    }
    return reasons;
  }
}

function missed(what: string, [name, value]: readonly [string, string | true]): string {
  return value === true ? `${what} ${name} is missing` : `${what} ${name} is not ${JSON.stringify(value)}`;
}

function addPath(index: PathIndex, route: number, pattern: PathPattern | undefined): void {
  if (pattern === undefined) {
    addOnce(index.anyPath, route);
    return;
  }
  if (pattern.exact !== undefined) {
    const candidates = index.exact.get(pattern.exact);
    if (candidates === undefined) index.exact.set(pattern.exact, [route]);
    else addOnce(candidates, route);
    return;
  }
  let node = index.tree;
  node.first = Math.min(node.first, route);
  for (const segment of pattern.segments) {
    node = childOf(node, segment);
    node.first = Math.min(node.first, route);
  }
  addOnce(pattern.rest ? node.rests : node.ends, route);
}

/** A route may name one host twice. */
function addOnce(candidates: Candidates, route: number): void {
  if (candidates.at(-1) !== route) candidates.push(route);
}

function childOf(node: Node, segment: string | undefined): Node {
  if (segment === undefined) return (node.parameter ??= emptyNode());
  let child = node.literals.get(segment);
  if (child === undefined) {
    child = emptyNode();
    node.literals.set(segment, child);
  }
  return child;
}

function pathIndex(): PathIndex {
  return { anyPath: [], exact: new Map(), tree: emptyNode() };
}

function emptyNode(): Node {
  return {
    literals: new Map(),
    parameter: undefined,
    ends: [],
    rests: [],
    first: Number.POSITIVE_INFINITY,
  };
}
