import { headerName, nearest, TOKEN } from "sluice/plugin";
import { z } from "zod";
import { entriesOf } from "../node.ts";
import { oneOrMany, Refused, scalar } from "../scalar.ts";
import type { HashKey, TargetConfig } from "../types.ts";
import { durationOrNone, oneOf, share, text } from "../values.ts";
import type { Section } from "./section.ts";
import { hasName } from "./targets.ts";

const cookieName = () =>
  scalar("the name of a cookie", { type: "string", pattern: TOKEN.source }, (value) =>
    typeof value === "string" && TOKEN.test(value) ? value : new Refused(),
  );

const WORDS = ["address", "host", "path"] as const;

const hashWord = () =>
  scalar("address, host, path, or a mapping such as { cookie: name }", { enum: WORDS }, (value) => {
    const found = WORDS.find((word) => word === value);
    const suggestion = nearest(String(value), WORDS);
    return found ?? new Refused(suggestion === undefined ? {} : { suggestion });
  });

const hashKey = () =>
  z.union([
    hashWord(),
    z
      .strictObject({
        header: headerName().optional().describe("Name of a header field."),
        cookie: cookieName().optional().describe("Name of a cookie."),
        query: text("the name of a query parameter").optional().describe("Name of a query parameter."),
      })
      .meta({ minProperties: 1, maxProperties: 1 }),
  ]);

export const balanceShape = {
  balance: oneOf(["round-robin", "least-request", "ewma", "consistent-hash", "random"])
    .prefault("round-robin")
    .describe(
      "How a target is chosen: in turn by weight; the less busy of two; the one that would answer sooner of two; by a key of the request; by chance.",
    ),
  hash: oneOrMany(hashKey())
    .prefault("address")
    .describe("What consistent-hash looks at: the first of these that a request has."),
  slow_start: durationOrNone()
    .prefault("none")
    .describe("How long a target that has come back takes to get its whole share."),
  panic_threshold: share()
    .prefault(0)
    .describe("Where less than this share of the targets may be asked, all are. Default never."),
};

type Value = z.output<z.ZodObject<typeof balanceShape>>;

/** Reports entries of `hash` that name nothing, or more than one thing. */
export function checkHash(upstream: Section): void {
  for (const item of upstream.at("hash")?.items() ?? []) {
    if (item.node.kind !== "mapping" || entriesOf(item.node).length === 1) continue;
    item.error("expected one of header, cookie and query");
  }
}

/** Warns of what has no effect on these targets. */
export function warnOfBalance(value: Value, targets: readonly TargetConfig[], upstream: Section): void {
  const hash = upstream.at("hash");
  if (value.balance !== "consistent-hash") hash?.warn("is never used, balance is not consistent-hash");
  else {
    const always = value.hash.find((key) => typeof key === "string");
    const next = always === undefined ? undefined : hash?.items()[value.hash.indexOf(always) + 1];
    next?.warn(`is never looked at, ${always} is there in every request`);
  }
  if (value.slow_start !== undefined && targets.length === 1 && !targets.some(hasName)) {
    upstream.at("slow_start")?.warn("is never used, there is only one target");
  }
  if (value.panic_threshold > 0 && !upstream.has("health") && !upstream.has("outlier")) {
    upstream.at("panic_threshold")?.warn("is never used, without health and outlier no target is left out");
  }
}

const NAMED = ["header", "cookie", "query"] as const;

export function hashOf(keys: Value["hash"]): HashKey[] {
  return keys.flatMap((key): HashKey[] => {
    if (typeof key === "string") return [{ from: key }];
    return NAMED.flatMap((from) => {
      const name = key[from];
      return name === undefined ? [] : [{ from, name }];
    });
  });
}

/** Keys in the words of the YAML. */
export function plainHash(keys: readonly HashKey[]): readonly unknown[] {
  return keys.map((key) => ("name" in key ? { [key.from]: key.name } : key.from));
}
