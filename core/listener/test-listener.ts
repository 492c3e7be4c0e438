import { BytesBody, HeaderList } from "sluice/plugin";
import { createFakeClock, createMemoryLog, type FakeClock, type MemoryLog } from "sluice/testing";
import type { Limits } from "../../config/types.ts";
import { LIMITS, RawClient } from "../http1/test-server.ts";
import type { Inbound, Rejection } from "./inbound.ts";
import { type Listener, type ListenerOptions, openListener } from "./listener.ts";
import type { ListenerEvent } from "./refusals.ts";

/* Helpers of this folder's tests: a listener on a free port with a clock that stands still. */

export type TestListenerOptions = Partial<Omit<ListenerOptions, "limits">> & {
  readonly limits?: Partial<Limits>;
};

export interface TestListener extends Disposable {
  readonly listener: Listener;
  readonly port: number;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly rejections: Rejection[];
  readonly events: ListenerEvent[];
  connect(data?: string): Promise<RawClient>;
}

/** Refusals are answered with their code as the body. */
export async function testListener(
  handle: (inbound: Inbound) => unknown,
  options: TestListenerOptions = {},
): Promise<TestListener> {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const rejections: Rejection[] = [];
  const events: ListenerEvent[] = [];
  const listener = await openListener({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    protocols: ["http1", "http2", "grpc"],
    tls: undefined,
    proxyProtocol: false,
    trusts: () => false,
    clock,
    log,
    onEvent: (kind) => void events.push(kind),
    handler: {
      handle: (inbound) => void handle(inbound),
      rejected(rejection) {
        rejections.push(rejection);
        return { headers: new HeaderList(), body: Buffer.from(rejection.code) };
      },
    },
    ...options,
    limits: { ...LIMITS, ...options.limits },
  });
  return {
    listener,
    port: listener.port,
    clock,
    log,
    rejections,
    events,
    connect: (data) => RawClient.connect(listener.port, data),
    [Symbol.dispose]() {
      listener.close();
    },
  };
}

/** Answers 200 with what is known of the request and its connection, as JSON. */
export function tellFacts(inbound: Inbound): void {
  const { method, rawTarget, httpVersion, scheme, authority, connection } = inbound;
  const facts = { method, rawTarget, httpVersion, scheme, authority, connection };
  void inbound.respond(200, new HeaderList(), new BytesBody(Buffer.from(JSON.stringify(facts))));
}

/** A request that `tellFacts` answers, with nothing behind the answer. */
export const GET = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";

/** The JSON that `tellFacts` put into the answer to {@link GET}. */
export function toldFacts(answer: string): Pick<Inbound, "httpVersion" | "scheme" | "connection"> {
  const [head, body] = answer.split("\r\n\r\n");
  if (body === undefined) throw new Error(`no answer: ${JSON.stringify(head)}`);
  return JSON.parse(body) as Pick<Inbound, "httpVersion" | "scheme" | "connection">;
}

/** A version 2 PROXY header (TCP over IPv4) from 203.0.113.7:4711 to 198.51.100.1:443. */
export const PROXY_V2 = Buffer.from([
  ...Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
  ...[0x21, 0x11, 0, 12, 203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb],
]);

/** The message that a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it did not fail");
}
