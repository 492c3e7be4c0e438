import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { formatDuration } from "../durations.ts";
import { Refused, scalar } from "../scalar.ts";
import type { DnsConfig, TargetConfig } from "../types.ts";
import { duration, oneOf } from "../values.ts";
import { checkBounds, type Section } from "./section.ts";
import { hasName } from "./targets.ts";

/** `host:port` with an IPv6 host in brackets. */
const dnsServer = () =>
  scalar(
    "the address of a DNS server such as 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53",
    { type: "string", minLength: 2 },
    (value) => {
      if (typeof value !== "string") return new Refused();
      if (isIPv6(value)) return value.includes("%") ? new Refused() : `[${value}]:53`;
      const [, v6, v4 = "", digits = "53"] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(value) ?? [];
      const port = Number(digits);
      if (port < 1 || port > 65_535) return new Refused({ because: "a port is between 1 and 65535" });
      if (v6 !== undefined) return isIPv6(v6) && !v6.includes("%") ? `[${v6}]:${port}` : new Refused();
      if (isIPv4(v4)) return `${v4}:${port}`;
      return new Refused(
        /[a-z]/i.test(v4) ? { because: "it is asked for names, and has to be an address itself" } : {},
      );
    },
  );

export const dnsSchema = z
  .strictObject({
    servers: z
      .array(dnsServer())
      .default([])
      .describe("Whom to ask, in order: `ip`, `ip:port` or `[v6]:port`. Default the system's."),
    family: oneOf(["auto", "ipv4", "ipv6", "all"])
      .prefault("auto")
      .describe("Addresses to use; auto is IPv4 where the name has such, else IPv6."),
    addresses: oneOf(["all", "one"])
      .prefault("all")
      .describe("Whether each address is a target of its own, or the name is one target."),
    min_ttl: duration().prefault("1s").describe("An answer is kept for at least this."),
    max_ttl: duration().prefault("5m").describe("An answer is kept for at most this."),
    timeout: duration().prefault("5s").describe("How long one look-up may take."),
  })
  .prefault({})
  .describe("How the names of targets are looked up, again whenever their records expire.");

type Value = z.output<typeof dnsSchema>;

/** Reports bounds that hold nothing between them. */
export function checkDns(value: Value, upstream: Section): void {
  checkBounds(upstream.mapping("dns"), value, "min_ttl", "max_ttl");
}

export function warnOfDns(targets: readonly TargetConfig[], upstream: Section): void {
  if (!targets.some(hasName)) upstream.at("dns")?.warn("is never used, no target has a name to look up");
}

export function dnsOf({ servers, family, addresses, min_ttl, max_ttl, timeout }: Value): DnsConfig {
  return { servers, family, addresses, minTtl: min_ttl, maxTtl: max_ttl, timeout };
}

/** In the words of the YAML. */
export function plainDns({ servers, family, addresses, minTtl, maxTtl, timeout }: DnsConfig): object {
  return {
    ...{ servers, family, addresses },
    min_ttl: formatDuration(minTtl),
    max_ttl: formatDuration(maxTtl),
    timeout: formatDuration(timeout),
  };
}
