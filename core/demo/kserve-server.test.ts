import {
  type Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, expect, test } from "bun:test";
import { connect } from "node:http2";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { inferRequest, readInferRequest } from "./kserve-messages.ts";
import { MODEL } from "./kserve-model.ts";
import { envelope, serveKserve } from "./kserve-server.ts";

/** The published protocol, as far as the pretend server speaks it, with one method that it does not. */
const PROTO = `
syntax = "proto3";
package inference;
service GRPCInferenceService {
  rpc ServerLive(Empty) returns (Flag);
  rpc ServerReady(Empty) returns (Flag);
  rpc ServerMetadata(Empty) returns (ServerMetadataResponse);
  rpc ModelReady(ModelRef) returns (Flag);
  rpc ModelMetadata(ModelRef) returns (ModelMetadataResponse);
  rpc ModelInfer(ModelInferRequest) returns (ModelInferResponse);
  rpc ModelConfig(ModelRef) returns (Empty);
}
message Empty {}
message Flag { bool ready = 1; }
message ModelRef { string name = 1; string version = 2; }
message ServerMetadataResponse { string name = 1; string version = 2; repeated string extensions = 3; }
message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
message ModelMetadataResponse {
  string name = 1; repeated string versions = 2; string platform = 3;
  repeated TensorMetadata inputs = 4; repeated TensorMetadata outputs = 5;
}
message InferTensorContents { repeated int32 int_contents = 2; repeated float fp32_contents = 6; }
message InferParameter { oneof parameter_choice { bool bool_param = 1; int64 int64_param = 2; } }
message InferTensor {
  string name = 1; string datatype = 2; repeated int64 shape = 3;
  map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
}
message ModelInferRequest {
  string model_name = 1; string model_version = 2; string id = 3; map<string, InferParameter> parameters = 4;
  repeated InferTensor inputs = 5; repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  string model_name = 1; string model_version = 2; string id = 3;
  repeated InferTensor outputs = 5; repeated bytes raw_output_contents = 6;
}`;

const server = await serveKserve();
const client = makeClient();
afterAll(async () => {
  client.close();
  await server.close();
});

function makeClient(): Client {
  using dir = temporaryDir();
  const types = loadSync(dir.write("kserve.proto", PROTO), { keepCase: true, longs: Number, defaults: true });
  const { inference } = loadPackageDefinition(types) as unknown as {
    inference: { GRPCInferenceService: new (host: string, creds: object) => Client };
  };
  return new inference.GRPCInferenceService(new URL(server.url).host, credentials.createInsecure());
}

function call(method: string, request: object): Promise<Record<string, unknown>> {
  const stub = (client as unknown as Record<string, (...args: unknown[]) => void>)[method]!;
  return new Promise((resolve, reject) => {
    stub.call(
      client,
      request,
      new Metadata(),
      (error: ServiceError | null, answer: Record<string, unknown>) =>
        error === null ? resolve(answer) : reject(error),
    );
  });
}

const int32 = (...values: number[]): Buffer => Buffer.from(Int32Array.from(values).buffer);

test("the server is live and ready, the model too", async () => {
  expect(await call("ServerLive", {})).toEqual({ ready: true });
  expect(await call("ServerReady", {})).toEqual({ ready: true });
  expect(await call("ModelReady", { name: MODEL })).toEqual({ ready: true });
  expect(await call("ModelReady", { name: "other" })).toEqual({ ready: false });
  expect(await call("ServerMetadata", {})).toEqual({ name: "sluice-demo", version: "1", extensions: [] });
});

test("the model describes itself", async () => {
  expect(await call("ModelMetadata", { name: MODEL, version: "1" })).toEqual({
    name: MODEL,
    versions: ["1"],
    platform: "sluice_demo",
    inputs: [
      { name: "INPUT0", datatype: "INT32", shape: [-1] },
      { name: "INPUT1", datatype: "FP32", shape: [-1] },
    ],
    outputs: [
      { name: "OUTPUT0", datatype: "INT32", shape: [-1] },
      { name: "OUTPUT1", datatype: "FP32", shape: [-1] },
    ],
  });
});

test("each element gets one more, of contents", async () => {
  const answer = await call("ModelInfer", {
    model_name: MODEL,
    id: "call-7",
    parameters: { ignored: { int64_param: 5 } },
    inputs: [
      {
        name: "INPUT0",
        datatype: "INT32",
        shape: [2, 2],
        contents: { int_contents: [-1, 0, 41, 2147483647] },
      },
      { name: "INPUT1", datatype: "FP32", shape: [2], contents: { fp32_contents: [0.5, -1.25] } },
    ],
  });
  expect(answer).toMatchObject({ model_name: MODEL, model_version: "1", id: "call-7" });
  expect(answer["outputs"]).toMatchObject([
    { name: "OUTPUT0", datatype: "INT32", shape: [2, 2] },
    { name: "OUTPUT1", datatype: "FP32", shape: [2] },
  ]);
  expect(answer["raw_output_contents"]).toEqual([
    int32(0, 1, 42, -2147483648),
    Buffer.from(Float32Array.from([1.5, -0.25]).buffer),
  ]);
});

test("each element gets one more, of raw tensors and of none", async () => {
  const answer = await call("ModelInfer", {
    model_name: MODEL,
    inputs: [
      { name: "INPUT0", datatype: "INT32", shape: [3] },
      { name: "x", datatype: "FP32", shape: [0] },
    ],
    raw_input_contents: [int32(1, 2, 3), Buffer.alloc(0)],
  });
  expect(answer["outputs"]).toMatchObject([{ name: "OUTPUT0" }, { name: "x_plus_one", shape: [0] }]);
  expect(answer["raw_output_contents"]).toEqual([int32(2, 3, 4), Buffer.alloc(0)]);
});

const one = { name: "INPUT0", datatype: "INT32", shape: [1] };
test.each([
  ["an unknown model", "ModelInfer", { model_name: "näme" }, status.NOT_FOUND, "'näme' is not found"],
  ["an unknown version", "ModelMetadata", { name: MODEL, version: "2" }, status.NOT_FOUND, "version 2"],
  [
    "another datatype",
    "ModelInfer",
    { model_name: MODEL, inputs: [{ ...one, datatype: "BYTES" }] },
    status.INVALID_ARGUMENT,
    "'BYTES'",
  ],
  [
    "a shape that does not fit",
    "ModelInfer",
    { model_name: MODEL, inputs: [one] },
    status.INVALID_ARGUMENT,
    "asks for 1",
  ],
  [
    "too few raw tensors",
    "ModelInfer",
    { model_name: MODEL, inputs: [one, one], raw_input_contents: [int32(1)] },
    status.INVALID_ARGUMENT,
    "one entry",
  ],
  [
    "both ways at once",
    "ModelInfer",
    {
      model_name: MODEL,
      inputs: [{ ...one, contents: { int_contents: [1] } }],
      raw_input_contents: [int32(1)],
    },
    status.INVALID_ARGUMENT,
    "beside raw_input_contents",
  ],
  ["a method it does not have", "ModelConfig", {}, status.UNIMPLEMENTED, "ModelConfig"],
])("%s is refused", async (_, method, request, code, message) => {
  const refused = await call(method, request).then(
    () => undefined,
    (error: ServiceError) => error,
  );
  expect(refused?.code).toBe(code);
  expect(refused?.details).toContain(message);
});

/** One raw request; what came back of its status. */
async function raw(body: Uint8Array, contentType = "application/grpc"): Promise<Record<string, unknown>> {
  const session = connect(server.url);
  try {
    return await new Promise((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({
        ":method": "POST",
        ":path": "/inference.GRPCInferenceService/ModelInfer",
        "content-type": contentType,
      });
      stream
        .on("error", reject)
        .on("response", ({ ":status": http, "grpc-status": grpc }) => resolve({ http, grpc }));
      stream.resume().end(body);
    });
  } finally {
    session.destroy();
  }
}

test.each([
  ["no envelope", Uint8Array.of(0, 0)],
  ["a length that is not the body's", Uint8Array.of(0, 0, 0, 0, 9, 1)],
  ["no protobuf", envelope(Uint8Array.of(0x0a, 0xff))],
])("bytes with %s are refused", async (_, body) => {
  expect(await raw(body)).toEqual({ http: 200, grpc: "3" });
});

test("a compressed message is UNIMPLEMENTED, another content type 415", async () => {
  expect(await raw(Uint8Array.of(1, 0, 0, 0, 0))).toEqual({ http: 200, grpc: "12" });
  expect(await raw(envelope(new Uint8Array(0)), "application/json")).toEqual({ http: 415, grpc: undefined });
});

test("a caller that leaves does no harm", async () => {
  const session = connect(server.url);
  const stream = session.request({ ":method": "POST", ":path": "/x", "content-type": "application/grpc" });
  stream.on("error", () => {});
  stream.write(Uint8Array.of(0));
  await new Promise((resolve) => stream.once("ready", resolve));
  session.destroy();
  expect(await call("ServerLive", {})).toEqual({ ready: true });
});

test("a request that we write is read as it was", () => {
  const tensor = { name: "a", datatype: "FP32", shape: [1], ints: [], floats: [0.5] };
  const bytes = inferRequest(MODEL, [tensor]);
  expect(readInferRequest(bytes)).toMatchObject({ modelName: MODEL, inputs: [tensor], raw: [] });
});
