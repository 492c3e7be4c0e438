import * as grpc from "@grpc/grpc-js";
import { isDeepStrictEqual } from "node:util";
import { type EchoClient, echoClient, type Message } from "./grpc-echo.ts";

/* What is asked of every pair of gRPC client and upstream. Runs on Node. */

type Call = readonly [
  name: string,
  run: (client: EchoClient) => Promise<readonly [got: unknown, wanted: unknown]>,
];

/** Over the largest frame, and over the window that a stream begins with (RFC 9113 §6.5.2). */
const LONG = "l".repeat(300_000);

function unary(client: EchoClient, text: string) {
  const metadata = new grpc.Metadata();
  metadata.set("x-bytes-bin", Buffer.from([0, 255, 1]));
  return new Promise<{
    error: grpc.ServiceError | null;
    reply: Message | undefined;
    trailer: unknown;
    head: unknown;
  }>((resolve) => {
    let head: unknown;
    let done: { error: grpc.ServiceError | null; reply: Message | undefined } = {
      error: null,
      reply: undefined,
    };
    client
      .Unary({ text, number: "9007199254740993" }, metadata, {}, (error, reply) => (done = { error, reply }))
      .on("metadata", (got: grpc.Metadata) => (head = got.get("x-header")[0]))
      .on("status", (status: grpc.StatusObject) => {
        // The callback runs in the same turn, and not always before.
        queueMicrotask(() => resolve({ ...done, head, trailer: status.metadata.get("x-trailer")[0] }));
      });
  });
}

export const CALLS: readonly Call[] = [
  [
    "unary",
    async (client) => {
      const { error, reply, head, trailer } = await unary(client, "hi");
      return [
        [error?.code, reply, head, trailer],
        [undefined, { text: "hi", number: "9007199254740993" }, "head", "tail"],
      ];
    },
  ],
  [
    "a long message",
    async (client) => {
      const { reply } = await unary(client, LONG);
      return [reply?.text === LONG, true];
    },
  ],
  [
    "server stream",
    async (client) => {
      const numbers: string[] = [];
      for await (const { number } of client.ServerStream({
        text: "s",
        number: "200",
      }) as AsyncIterable<Message>)
        numbers.push(number);
      return [numbers, Array.from({ length: 200 }, (_, i) => String(i))];
    },
  ],
  [
    "client stream",
    async (client) => {
      const reply = await new Promise<Message | undefined>((resolve, reject) => {
        const call = client.ClientStream((error, got) => (error === null ? resolve(got) : reject(error)));
        for (const text of ["a", "b", "c"]) call.write({ text });
        call.end();
      });
      return [reply, { text: "a,b,c", number: "3" }];
    },
  ],
  [
    "bidi",
    async (client) => {
      const call = client.Bidi();
      const answers = call[Symbol.asyncIterator]() as AsyncIterator<Message>;
      const got: unknown[] = [];
      for (const text of ["one", "two"]) {
        call.write({ text });
        // The answer comes while the request is still open: nothing is gathered on the way.
        got.push(((await answers.next()).value as Message).text);
      }
      call.end();
      got.push((await answers.next()).done);
      return [got, ["one", "two", true]];
    },
  ],
  [
    "error with details",
    async (client) => {
      const { error } = await unary(client, "fail");
      const details = error?.metadata.get("grpc-status-details-bin")[0];
      return [
        [
          error?.code,
          error?.details,
          error?.metadata.get("x-why")[0],
          Buffer.from(details ?? "").toString("hex"),
        ],
        [grpc.status.FAILED_PRECONDITION, "nöt now 100%", "because", "08091203626164"],
      ];
    },
  ],
];

/** What went wrong; nothing, if all is right. */
export async function checkCalls(
  address: string,
  credentials: grpc.ChannelCredentials,
  options: grpc.ClientOptions,
): Promise<string[]> {
  const client = echoClient(address, credentials, options);
  const wrong: string[] = [];
  for (const [name, run] of CALLS) {
    const [got, wanted] = await run(client).catch((error: unknown) => [String(error), "no error"] as const);
    if (!isDeepStrictEqual(got, wanted))
      wrong.push(`${name}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
  }
  client.close();
  return wrong;
}
