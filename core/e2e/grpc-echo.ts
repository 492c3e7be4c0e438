import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { join } from "node:path";
import { ROOT } from "./paths.ts";

export interface Message {
  readonly text: string;
  readonly number: string;
}

const descriptor = grpc.loadPackageDefinition(
  loader.loadSync(join(ROOT, "config/examples/echo.proto"), { longs: String, defaults: true }),
);

interface EchoConstructor {
  new (address: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions): EchoClient;
  readonly service: grpc.ServiceDefinition;
}
type Callback = (error: grpc.ServiceError | null, reply?: Message) => void;

/** The methods of t.Echo as grpc-js makes them. */
export interface EchoClient extends grpc.Client {
  Unary(
    message: Partial<Message>,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: Callback,
  ): grpc.ClientUnaryCall;
  ServerStream(
    message: Partial<Message>,
    metadata?: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<Message>;
  ClientStream(done: Callback): grpc.ClientWritableStream<Partial<Message>>;
  Bidi(): grpc.ClientDuplexStream<Partial<Message>, Message>;
}

// The loaded package is typed as "anything with these names"; the .proto beside it says what it is.
const Echo = (descriptor["t"] as unknown as { Echo: EchoConstructor }).Echo;

export function echoClient(
  address: string,
  credentials = grpc.credentials.createInsecure(),
  options: grpc.ClientOptions = {},
): EchoClient {
  return new Echo(address, credentials, options);
}

export interface EchoServer extends AsyncDisposable {
  readonly port: number;
  /** Calls that the client cancelled while they ran. */
  readonly cancelled: number;
  /** Settles at the next cancelled call. */
  nextCancel(): Promise<void>;
  /** Metadata of each call that came. */
  readonly metadata: grpc.Metadata[];
}

/**
 * A grpc-js server of t.Echo. `Unary` answers the message; the texts "fail", "trailers-only" and "hang" make it fail
 * with details, fail before anything was sent, and never answer. `ServerStream` sends `number` messages and never
 * ends after them when the text is "hang".
 */
export async function startEchoServer(): Promise<EchoServer> {
  const server = new grpc.Server();
  const metadata: grpc.Metadata[] = [];
  let cancelled = 0;
  const waiting: (() => void)[] = [];
  const onCancel = (): void => {
    cancelled++;
    for (const wake of waiting.splice(0)) wake();
  };

  server.addService(Echo.service, {
    Unary(call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) {
      metadata.push(call.metadata);
      call.on("cancelled", onCancel);
      const { text } = call.request;
      if (text === "hang") return;
      if (text === "fail" || text === "trailers-only") {
        const details = new grpc.Metadata();
        details.set("x-why", "because");
        details.set("grpc-status-details-bin", Buffer.from([8, 9, 18, 3, 98, 97, 100]));
        done({ code: grpc.status.FAILED_PRECONDITION, details: "nöt now 100%", metadata: details });
        return;
      }
      const header = new grpc.Metadata();
      header.set("x-header", "head");
      call.sendMetadata(header);
      const trailer = new grpc.Metadata();
      trailer.set("x-trailer", "tail");
      done(null, call.request, trailer);
    },
    Get(call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) {
      done(null, call.request);
    },
    ServerStream(call: grpc.ServerWritableStream<Message, Message>) {
      call.on("cancelled", onCancel);
      const count = Number(call.request.number);
      for (let i = 0; i < count; i++) call.write({ text: call.request.text, number: String(i) });
      if (call.request.text !== "hang") call.end();
    },
    ClientStream(call: grpc.ServerReadableStream<Message, Message>, done: grpc.sendUnaryData<Message>) {
      const texts: string[] = [];
      call.on("data", (message: Message) => texts.push(message.text));
      call.on("end", () => done(null, { text: texts.join(","), number: String(texts.length) }));
    },
    Bidi(call: grpc.ServerDuplexStream<Message, Message>) {
      call.on("data", (message: Message) => call.write(message));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    get cancelled() {
      return cancelled;
    },
    nextCancel: () => new Promise((resolve) => waiting.push(resolve)),
    metadata,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}
