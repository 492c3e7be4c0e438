import { isIP } from "node:net";
import { dirname } from "node:path";
import { z } from "zod";
import { child, type ConfigNode, formatPath, itemsOf, type Path } from "../node.ts";
import { Refused, scalar } from "../scalar.ts";
import type { Scope } from "../scope.ts";
import { describe } from "../secrets.ts";
import type { TargetConfig } from "../types.ts";
import { count } from "../values.ts";
import { parseTarget, TARGET_EXPECTED, TARGET_PATTERN } from "./target-url.ts";

const MAX_WEIGHT = 1_000_000;
const MIN_WEIGHT = 0.000_1;

const targetUrl = () =>
  scalar(TARGET_EXPECTED, { type: "string", pattern: TARGET_PATTERN }, (value) => {
    const parsed = typeof value === "string" ? parseTarget(value, "/") : "the scheme is missing";
    return typeof parsed === "string" ? new Refused({ because: parsed }) : String(value);
  });

const targetWeight = () =>
  scalar(
    "a number above 0",
    { type: "number", minimum: MIN_WEIGHT, maximum: MAX_WEIGHT },
    (value): number | Refused => {
      if (value === 0) {
        return new Refused({
          because: "a target that is to get nothing is taken off the list, or drained by the admin API",
        });
      }
      if (typeof value !== "number" || !(value > 0)) return new Refused();
      if (value > MAX_WEIGHT) return new Refused({ because: `it is above ${MAX_WEIGHT}` });
      return value >= MIN_WEIGHT ? value : new Refused({ because: `it is below ${MIN_WEIGHT}` });
    },
  );

export const targetsSchema = z.array(
  z.union([
    targetUrl().transform((url) => ({ url, weight: 1, priority: 0 })),
    z.strictObject({
      url: targetUrl().describe(
        "`http://`, `https://`, `unix:/path`, or `http+srv://` and `https+srv://` with the name of SRV records; a path is put before each request's.",
      ),
      weight: targetWeight().prefault(1).describe("Share of the requests."),
      priority: count(0, 100).prefault(0).describe("Asked only while no target of a lower number may be."),
    }),
  ]),
);

/** The targets that the schema accepted, each once. */
export function readTargets(
  values: z.output<typeof targetsSchema>,
  list: ConfigNode,
  path: Path,
  scope: Scope,
): TargetConfig[] {
  const items = itemsOf(list);
  const seen = new Map<string, ConfigNode>();
  const targets: TargetConfig[] = [];
  for (const [index, { url, ...rest }] of values.entries()) {
    const item = items[index] ?? list;
    const at = item.kind === "mapping" ? (child(item, "url") ?? item) : item;
    const parsed = parseTarget(url, dirname(at.place.file));
    if (typeof parsed === "string") continue;
    const first = seen.get(parsed.url);
    if (first !== undefined) {
      const also = { label: "first at", place: first.place };
      const message = `duplicate target ${describe(at)}`;
      scope.problems.error(at.place, formatPath([...path, index]), message, { also });
    }
    seen.set(parsed.url, at);
    // The form of RFC 2782; a host of that name has no address.
    if (!parsed.srv && /^_[^.]+\._(tcp|udp)\./i.test(parsed.host)) {
      const message = `${parsed.host} is a name of SRV records, which ${parsed.scheme}+srv:// asks for`;
      scope.problems.warn(at.place, formatPath([...path, index]), message);
    }
    targets.push({ ...parsed, ...rest });
  }
  return targets;
}

/** Whether DNS has to be asked for it: `localhost` and what is below it is the loopback (RFC 6761 §6.3). */
export function hasName({ scheme, host }: TargetConfig): boolean {
  return scheme !== "unix" && isIP(host) === 0 && !/(^|\.)localhost$/i.test(host);
}

/** A target in the words of the YAML. */
export function plainTarget({ url, weight, priority }: TargetConfig): object {
  return { url, weight, priority };
}
