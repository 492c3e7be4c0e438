import * as grpc from "@grpc/grpc-js";
import { echoClient } from "./grpc-echo.ts";
import { PolicyConnections } from "./policy-connections.ts";
import type { Speech } from "./policy-orders.ts";

/** What a client got. */
export interface Said {
  /** 200, or gRPC's OK. */
  readonly good: boolean;
  /**
   * The HTTP status as text, or the gRPC code's name; `left` where the client did before the answer was there, and
   * `broken off` where there was no whole answer.
   */
  readonly status: string;
  /** The failure class of a gateway's own answer, "" in gRPC, where it stays in the log; its wording. */
  readonly reason: string;
  readonly message: string;
  readonly retryAfter: string | undefined;
  /** A gRPC call's answer had begun: nobody may send the call again (grpc/proposal A6, "committed"). */
  readonly committed: boolean;
  readonly ms: number;
}

/** Calls a gateway: HTTP with GET or POST, gRPC with unary calls. `x-to` names the upstream, `x-id` the request. */
export class PolicyClient implements Disposable {
  readonly #address: string;
  readonly #connections: PolicyConnections;
  readonly #channels: ReturnType<typeof echoClient>[] = [];
  #calls = 0;

  /** @param address of the gateway's listener. */
  constructor(address: string) {
    this.#address = address;
    this.#connections = new PolicyConnections(address);
  }

  /** @param signal by which the client leaves. */
  call(speech: Speech, to: string, id: string, method = "GET", signal?: AbortSignal): Promise<Said> {
    if (speech === "grpc") return this.#rpc(to, id, signal);
    return this.#http(to, id, method, signal).catch((error: unknown) => {
      const status = signal?.aborted === true ? "left" : "broken off";
      const none = { reason: "", retryAfter: undefined, committed: false, ms: 0 };
      return { good: false, status, message: String(error), ...none };
    });
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
    for (const channel of this.#channels) channel.close();
  }

  async #http(to: string, id: string, method: string, signal: AbortSignal | undefined): Promise<Said> {
    const begun = performance.now();
    const body = method === "POST" ? "content-length: 4\r\n\r\nbody" : "\r\n";
    const head = `${method} / HTTP/1.1\r\nhost: ${this.#address}\r\nx-to: ${to}\r\nx-id: ${id}\r\n`;
    const answer = await this.#connections.send(head + body, signal);
    const ms = performance.now() - begun;
    const text = Buffer.from(answer.body).toString();
    const error = text.startsWith("{")
      ? (JSON.parse(text) as { error: { reason: string; message: string } }).error
      : undefined;
    const status = answer.start.split(" ")[1]!;
    return {
      good: status === "200",
      status,
      reason: error?.reason ?? "",
      message: error?.message ?? "",
      retryAfter: answer.headers.get("retry-after"),
      committed: false,
      ms,
    };
  }

  #rpc(to: string, id: string, signal: AbortSignal | undefined): Promise<Said> {
    const metadata = new grpc.Metadata();
    metadata.set("x-to", to);
    metadata.set("x-id", id);
    const begun = performance.now();
    let committed = false;
    return new Promise((resolve) => {
      const call = this.#channel().Unary({ text: "body" }, metadata, {}, (error) =>
        resolve({
          good: error === null,
          status: signal?.aborted === true ? "left" : grpc.status[error?.code ?? grpc.status.OK],
          reason: "",
          message: error?.details ?? "",
          retryAfter: error?.metadata.get("retry-after")[0]?.toString(),
          committed,
          ms: performance.now() - begun,
        }),
      );
      call.once("metadata", () => (committed = true));
      signal?.addEventListener("abort", () => call.cancel());
    });
  }

  /** A few connections, taken in turn. */
  #channel(): ReturnType<typeof echoClient> {
    if (this.#channels.length === 0)
      for (let i = 0; i < 4; i++)
        this.#channels.push(echoClient(this.#address, undefined, { "grpc.use_local_subchannel_pool": 1 }));
    return this.#channels[this.#calls++ % this.#channels.length]!;
  }
}
