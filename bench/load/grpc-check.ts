import * as grpc from "@grpc/grpc-js";
import {
  ANSWER,
  STREAM,
  STREAM_LENGTH,
  STREAM_REQUEST,
  UNARY,
  UNARY_REQUEST,
} from "../origins/grpc-messages.ts";

const asIs = (message: Buffer): Buffer => message;

/**
 * Makes one unary call and one with a stream of answers, as the gRPC origin serves them. Rejects where a status is not OK
 * or a message is not the right one, or after `milliseconds`.
 */
export async function checkGrpc(port: number, milliseconds = 5_000): Promise<void> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const options = { deadline: new Date(Date.now() + milliseconds) };
  try {
    await unary(client, options);
    await stream(client, options);
  } finally {
    client.close();
  }
}

function unary(client: grpc.Client, options: grpc.CallOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.makeUnaryRequest(UNARY, asIs, asIs, Buffer.from(UNARY_REQUEST), options, (error, message) => {
    if (error !== null) reject(error);
    else if (message === undefined || Buffer.compare(message, ANSWER) !== 0) reject(wrong(UNARY, message));
    else resolve();
  });
  return promise;
}

function stream(client: grpc.Client, options: grpc.CallOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let count = 0;
  client
    .makeServerStreamRequest(STREAM, asIs, asIs, Buffer.from(STREAM_REQUEST), options)
    .on("data", (message: Buffer) => {
      count++;
      if (Buffer.compare(message, ANSWER) !== 0) reject(wrong(STREAM, message));
    })
    .on("error", reject)
    .on("status", ({ code }: grpc.StatusObject) => {
      if (code === grpc.status.OK && count === STREAM_LENGTH) resolve();
      else reject(new Error(`${STREAM}: ${count} messages and status ${code}`));
    });
  return promise;
}

function wrong(method: string, message: Buffer | undefined): Error {
  return new Error(`${method}: a wrong message of ${message?.byteLength ?? 0} bytes`);
}
