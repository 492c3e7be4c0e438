import * as grpc from "@grpc/grpc-js";

/** A grpc-js server of grpc.health.v1, or of nothing. */
export interface GrpcHealthServer extends AsyncDisposable {
  readonly port: number;
  /** What it answers: a serving status, a gRPC code, or nothing at all. */
  say: { readonly serving: number } | { readonly code: keyof typeof grpc.status } | "nothing";
  readonly calls: { readonly service: string; readonly metadata: grpc.Metadata; readonly deadline: number }[];
  /** Answers once the call of that number, from 1, is there. */
  called(count: number): Promise<void>;
}

const SERVICE = {
  Check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
} satisfies grpc.ServiceDefinition;

/** @param implemented whether it knows the health service. @default true */
export async function startGrpcHealthServer(implemented = true, port = 0): Promise<GrpcHealthServer> {
  const server = new grpc.Server();
  const waiting: (() => void)[] = [];
  const calls: GrpcHealthServer["calls"] = [];
  const self: GrpcHealthServer = {
    say: { serving: 1 },
    calls,
    port: 0,
    async called(count) {
      while (calls.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await Promise.resolve();
    },
  };
  if (implemented) {
    server.addService(SERVICE, {
      Check(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
        // Field 1, a string of less than 128 bytes.
        const service = call.request.subarray(2).toString();
        calls.push({ service, metadata: call.metadata, deadline: Number(call.getDeadline()) });
        for (const wake of waiting.splice(0)) wake();
        const { say } = self;
        if (say === "nothing") return;
        if ("code" in say) done({ code: grpc.status[say.code], details: "as it was told" });
        else done(null, say.serving === 0 ? Buffer.alloc(0) : Buffer.of(8, say.serving));
      },
    });
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, number) =>
      error === null ? resolve(number) : reject(error),
    );
  });
  return Object.assign(self, { port: bound });
}
