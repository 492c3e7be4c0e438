import { type Body, HeaderList, type PolledBody, SluiceError } from "sluice/plugin";
import type { HealthConfig, UpstreamTimeouts } from "../../../config/types.ts";
import type { Cancellable, OutboundRequest, Progress, Transport, UpstreamAnswer } from "../transport.ts";
import { type HealthVerdict, type Probe, unhealthy } from "./probe.ts";

/** Of an answer's body no more is looked at. */
const BODY_LIMIT = 65_536;

/** What is the same in every check of a target. */
export interface ProbeHead {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
}

export interface TransportProbeOptions {
  readonly head: ProbeHead;
  /** Makes the body of one check. */
  readonly body: () => Body | null;
  /** Milliseconds in which a connection must come to stand. */
  readonly timeout: number;
  readonly open: () => Transport;
  /** May throw what reading the answer throws. */
  readonly judge: (answer: UpstreamAnswer) => Promise<HealthVerdict>;
}

/** Asks over a transport of its own, whose connection serves one check after the other until one of them hangs. */
export function transportProbe(options: TransportProbeOptions): Probe {
  // The caller counts the whole check; this lets go of a peer that accepts TCP and then says nothing.
  const timeouts: UpstreamTimeouts = {
    connect: options.timeout,
    firstByte: undefined,
    idle: undefined,
    request: undefined,
  };
  let transport: Transport | undefined;
  let running: ProbeRequest | undefined;

  function end(reason: string): void {
    running?.giveUp(new SluiceError("upstream_timeout", "the health check is over", { reason }));
    transport?.close();
    // The connection itself may be what hangs, and HTTP/2 would use it again.
    transport = undefined;
  }

  return {
    async ask() {
      running = new ProbeRequest(options.head, options.body(), timeouts);
      try {
        transport ??= options.open();
        return await options.judge(await transport.request(running));
      } catch (error) {
        const { reason } = SluiceError.from(error);
        return unhealthy(reason.startsWith("timeout.") ? "timeout" : reason);
      } finally {
        running = undefined;
      }
    },
    expire: () => end("timeout"),
    close: () => end("closed"),
  };
}

class ProbeRequest implements OutboundRequest, Progress {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
  readonly body: Body | null;
  readonly timeouts: UpstreamTimeouts;
  sent = false;
  reused = false;
  finished = false;
  #call: Cancellable | undefined;

  constructor(head: ProbeHead, body: Body | null, timeouts: UpstreamTimeouts) {
    this.method = head.method;
    this.target = head.target;
    this.authority = head.authority;
    this.scheme = head.scheme;
    this.headers = head.headers;
    this.body = body;
    this.timeouts = timeouts;
  }

  get progress(): Progress {
    return this;
  }

  onCancel(call: Cancellable): void {
    this.#call = call;
  }

  offCancel(): void {
    this.#call = undefined;
  }

  onInform(): void {}

  giveUp(reason: SluiceError): void {
    this.#call?.cancelled(reason);
  }
}

/** The fields of a check: what was configured, and the least that is missing in it. */
export function probeHeaders(
  config: Pick<HealthConfig, "headers">,
  own: readonly (readonly [name: string, value: string])[] = [],
): HeaderList {
  const headers = HeaderList.from(own);
  for (const [name, value] of config.headers) headers.append(name, value);
  if (!headers.has("user-agent")) headers.append("user-agent", "sluice");
  return headers;
}

/**
 * The first 64 KiB of a body. What is longer is not waited for and costs the connection.
 * @throws what the body's `read` throws
 */
export async function beginningOf(body: PolledBody | null): Promise<Buffer> {
  if (body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  for (let total = 0; total < BODY_LIMIT;) {
    const chunk = await body.read();
    if (chunk === null) return Buffer.concat(chunks);
    chunks.push(chunk);
    total += chunk.byteLength;
  }
  if (body.poll() !== null) body.cancel();
  return Buffer.concat(chunks, BODY_LIMIT);
}
