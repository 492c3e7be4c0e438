import { CONSUMER, type Exchange, TENANT } from "sluice/plugin";
import type { ConditionConfig } from "../../config/types.ts";
import { hostMatches, hostOf, hostPattern } from "./host-pattern.ts";
import { fieldChecks } from "./match-fields.ts";
import { pathMatches, pathPattern } from "./path-pattern.ts";

type Test = (x: Exchange) => boolean;

/**
 * Compiles a step's `when`: every field given must hold, and `not` must not. The path is compared as it is
 * when the step's turn comes: a rewrite before it counts.
 * @throws TypeError for a path that cannot be matched.
 */
export function compileCondition(condition: ConditionConfig): Test {
  const tests = testsOf(condition);
  if (tests.length === 1) return tests[0]!;
  return (x) => {
    for (const test of tests) if (!test(x)) return false;
    return true;
  };
}

function testsOf(condition: ConditionConfig): Test[] {
  const { consumers, tenants, protocols } = condition;
  const tests: Test[] = [];
  if (protocols.length > 0) tests.push((x) => protocols.includes(x.protocol));
  if (condition.path !== undefined) {
    const pattern = pathPattern(condition.path);
    tests.push((x) => pathMatches(pattern, x.request.path));
  }
  if (condition.hosts.length > 0) {
    const patterns = condition.hosts.map(hostPattern);
    tests.push((x) => {
      const host = hostOf(x.request.authority);
      return patterns.some((pattern) => hostMatches(pattern, host));
    });
  }
  const fields = fieldChecks(condition);
  if (fields !== undefined) tests.push((x) => fields(x.request));
  if (consumers.length > 0) tests.push((x) => isOneOf(consumers, x.get(CONSUMER)));
  if (tenants.length > 0) tests.push((x) => isOneOf(tenants, x.get(TENANT)));
  if (condition.not !== undefined) {
    const excluded = compileCondition(condition.not);
    tests.push((x) => !excluded(x));
  }
  return tests;
}

function isOneOf(names: readonly string[], name: string | undefined): boolean {
  return name !== undefined && names.includes(name);
}
