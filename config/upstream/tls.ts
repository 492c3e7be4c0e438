import { z } from "zod";
import { child, type ConfigNode } from "../node.ts";
import { pathFrom, type Scope } from "../scope.ts";
import { checkCertificates, checkKeyPair } from "../tls-files.ts";
import type { TargetConfig, UpstreamTlsConfig } from "../types.ts";
import { filePath, text } from "../values.ts";
import type { Section } from "./section.ts";

export const tlsSchema = z
  .strictObject({
    ca: filePath().optional().describe("PEM file of the authorities to trust instead of the system's."),
    cert: filePath().optional().describe("PEM file of the certificate to show."),
    key: filePath().optional().describe("PEM file of its private key."),
    server_name: text("a host name")
      .optional()
      .describe("Name for SNI and verification. Default the target's host."),
    verify: z.boolean().default(true).describe("Whether the target's certificate must be valid."),
  })
  .optional()
  .describe("For https targets.");

type Value = NonNullable<z.output<typeof tlsSchema>>;

/** Reports files that cannot be used, and half a pair. */
export function checkTls(upstream: Section, scope: Scope): void {
  const tls = upstream.mapping("tls");
  if (tls === undefined) return;
  checkCertificates(child(tls.node, "ca"), [...tls.path, "ca"], scope);
  if (tls.has("cert") !== tls.has("key")) {
    const missing = tls.has("cert") ? "key" : "cert";
    tls.missing(missing, "the path of a file: cert and key go together");
  }
  checkKeyPair(tls.node, tls.path, scope);
}

export function warnOfTls(targets: readonly TargetConfig[], upstream: Section): void {
  if (targets.some(({ scheme }) => scheme === "https")) return;
  upstream.at("tls")?.warn("is never used, no target is an https URL");
}

/** @param node what the value stood in: paths are relative to its file. */
export function tlsOf(value: Value, node: ConfigNode): UpstreamTlsConfig {
  const file = (name: "ca" | "cert" | "key"): string | undefined => {
    const written = value[name];
    return written === undefined ? undefined : pathFrom(child(node, name), written, node);
  };
  return {
    ca: file("ca"),
    cert: file("cert"),
    key: file("key"),
    serverName: value.server_name,
    verify: value.verify,
  };
}

/** In the words of the YAML. */
export function plainTls({ ca, cert, key, serverName, verify }: UpstreamTlsConfig): object {
  return { ca, cert, key, server_name: serverName, verify };
}
