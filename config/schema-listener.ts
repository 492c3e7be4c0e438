import { dirname } from "node:path";
import { z } from "zod";
import { parseAddress } from "./address.ts";
import { child, type ConfigNode, formatPath, type Path } from "./node.ts";
import { readNode } from "./read-node.ts";
import { Refused, scalar } from "./scalar.ts";
import { pathFrom, type Scope } from "./scope.ts";
import { checkCertificates, checkKeyPair } from "./tls-files.ts";
import type { Address, Limits, ListenerConfig, ListenerTlsConfig, Place } from "./types.ts";
import { address, count, duration, exactPath, filePath, oneOf, size } from "./values.ts";

const limitsSchema = z.strictObject({
  header_bytes: size().prefault("64KiB").describe("Bytes of a header block, request line excluded; 431."),
  header_count: count(1).prefault(100).describe("Header fields of a request; 431."),
  body: size()
    .prefault("4GiB")
    .describe("Bytes of a request body; 413. Bodies stream: this is no memory bound."),
  buffered_body: size()
    .prefault("8MiB")
    .describe(
      "Bytes of a request body that plugins may read before it is forwarded; 413. Held in memory, a request.",
    ),
  url: size().prefault("8KiB").describe("Bytes of a request target; 414."),
  streams: count(1, 2 ** 31 - 1)
    .prefault(128)
    .describe("Concurrent HTTP/2 streams of a connection."),
  resets: count(1)
    .prefault(500)
    .describe("HTTP/2 streams that a client may reset in a burst, refilled by a twentieth a second; GOAWAY."),
  header_timeout: duration()
    .prefault("10s")
    .describe(
      "From a request's first byte to the end of its head; 408. The first byte of a connection has as long.",
    ),
  body_timeout: duration().prefault("30s").describe("Between two pieces of a request body; 408."),
  idle_timeout: duration().prefault("75s").describe("An idle keep-alive connection is closed after this."),
  tunnel_timeout: duration()
    .prefault("1h")
    .describe("An upgraded connection (WebSocket) on which nothing passes, either way, is cut after this."),
  connections: count(1)
    .prefault(50_000)
    .describe("Open connections of the listener; more are closed at once."),
  connections_per_address: count(1)
    .prefault(20_000)
    .describe("Open connections of one peer address; more are closed at once."),
});

// Without quotes, YAML makes a number of it.
const tlsVersion = () =>
  scalar("1.2 or 1.3", { enum: ["1.2", "1.3", 1.2, 1.3] }, (value) => {
    const text = String(value);
    return text === "1.2" || text === "1.3" ? text : new Refused();
  });

export const listenerSchema = z.strictObject({
  address: address()
    .optional()
    .describe("`host:port`, `[::]:port` or `unix:/path`. Default 0.0.0.0:8080, with tls 0.0.0.0:8443."),
  protocols: z
    .array(oneOf(["http1", "http2", "grpc"]))
    .min(1)
    .default(["http1", "http2", "grpc"])
    .describe("What is spoken, all on the one port."),
  tls: z
    .strictObject({
      cert: filePath().describe("PEM file: the certificate, then its intermediates."),
      key: filePath().describe("PEM file of the private key."),
      client_ca: filePath().optional().describe("PEM file; clients must show a certificate that it signed."),
      min_version: tlsVersion().prefault("1.2").describe("The oldest TLS version."),
    })
    .optional()
    .describe("Serves TLS (HTTP/2 by ALPN). The files are watched and exchanged without a restart."),
  proxy_protocol: z
    .boolean()
    .default(false)
    .describe("Every connection begins with a PROXY header, v1 or v2, from an address in trusted_proxies."),
  probes: z
    .strictObject({
      live: exactPath().optional().describe("Answers 200 while the process runs."),
      ready: exactPath().optional().describe("Answers 200 while requests are wanted, 503 from SIGTERM on."),
    })
    .prefault({})
    .describe("Paths that the gateway answers itself on this listener."),
  limits: limitsSchema.prefault({}).describe("What a client may do."),
});

/** One item of `listeners`. */
export function readListener(node: ConfigNode, path: Path, scope: Scope): ListenerConfig | undefined {
  checkFiles(child(node, "tls"), [...path, "tls"], scope);
  const value = readNode(listenerSchema, node, path, scope.problems)?.value;
  if (value === undefined) return undefined;
  const at = child(node, "address") ?? node;
  const fallback = value.tls === undefined ? "0.0.0.0:8080" : "0.0.0.0:8443";
  const parsed = readAddress(value.address ?? fallback, at, [...path, "address"], scope);
  if (parsed === undefined) return undefined;
  return {
    address: parsed,
    protocols: [...new Set(value.protocols)],
    tls: value.tls === undefined ? undefined : tlsOf(value.tls, child(node, "tls") ?? node),
    proxyProtocol: value.proxy_protocol,
    probes: { live: value.probes.live, ready: value.probes.ready },
    limits: limitsOf(value.limits),
    place: node.place,
  };
}

/** The listener of a configuration that names none. */
export function defaultListener(place: Place): ListenerConfig {
  const node: ConfigNode = { kind: "mapping", entries: [], place };
  const value = listenerSchema.parse({});
  return {
    address: { kind: "tcp", host: "0.0.0.0", port: 8080 },
    protocols: value.protocols,
    tls: undefined,
    proxyProtocol: false,
    probes: { live: undefined, ready: undefined },
    limits: limitsOf(value.limits),
    place: node.place,
  };
}

/** An address that the schema accepted; socket paths are relative to the file that holds it. */
export function readAddress(text: string, node: ConfigNode, path: Path, scope: Scope): Address | undefined {
  const parsed = parseAddress(text, dirname(node.place.file));
  if (typeof parsed !== "string") return parsed;
  scope.problems.error(node.place, formatPath(path), parsed);
  return undefined;
}

function checkFiles(tls: ConfigNode | undefined, path: Path, scope: Scope): void {
  if (tls === undefined) return;
  checkKeyPair(tls, path, scope);
  checkCertificates(child(tls, "client_ca"), [...path, "client_ca"], scope);
}

type TlsInput = NonNullable<z.output<typeof listenerSchema>["tls"]>;

function tlsOf(value: TlsInput, node: ConfigNode): ListenerTlsConfig {
  const { cert, key, client_ca, min_version } = value;
  return {
    cert: pathFrom(child(node, "cert"), cert, node),
    key: pathFrom(child(node, "key"), key, node),
    clientCa: client_ca === undefined ? undefined : pathFrom(child(node, "client_ca"), client_ca, node),
    minVersion: min_version,
  };
}

function limitsOf(value: z.output<typeof limitsSchema>): Limits {
  return {
    headerBytes: value.header_bytes,
    headerCount: value.header_count,
    body: value.body,
    bufferedBody: value.buffered_body,
    url: value.url,
    streams: value.streams,
    resets: value.resets,
    headerTimeout: value.header_timeout,
    bodyTimeout: value.body_timeout,
    idleTimeout: value.idle_timeout,
    tunnelTimeout: value.tunnel_timeout,
    connections: value.connections,
    connectionsPerAddress: value.connections_per_address,
  };
}
