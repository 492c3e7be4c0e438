import {
  inferResponse,
  type InferTensor,
  modelMetadata,
  NO,
  readInferRequest,
  readModelRef,
  serverMetadata,
  YES,
} from "./kserve-messages.ts";

/** A call that ends in a status other than OK (grpc/doc/statuscodes.md). */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;

export const MODEL = "add-one";
const VERSION = "1";
const INPUTS = [
  { name: "INPUT0", datatype: "INT32", shape: [-1] },
  { name: "INPUT1", datatype: "FP32", shape: [-1] },
];
const OUTPUTS = INPUTS.map((input) => ({ ...input, name: outputName(input.name) }));

type Unary = (request: Uint8Array) => Uint8Array;

const SERVICE = "/inference.GRPCInferenceService/";

/** The methods of the pretend inference server by their path; each takes and answers one message. */
export const METHODS: ReadonlyMap<string, Unary> = new Map<string, Unary>([
  [`${SERVICE}ServerLive`, () => YES],
  [`${SERVICE}ServerReady`, () => YES],
  [`${SERVICE}ServerMetadata`, () => serverMetadata("sluice-demo", VERSION)],
  [`${SERVICE}ModelReady`, (bytes) => (isModel(readModelRef(bytes)) ? YES : NO)],
  [`${SERVICE}ModelMetadata`, metadata],
  [`${SERVICE}ModelInfer`, infer],
  ["/grpc.health.v1.Health/Check", () => YES],
]);

const isModel = ({ name, version }: { name: string; version: string }): boolean =>
  name === MODEL && (version === "" || version === VERSION);

function expectModel(ref: { name: string; version: string }): void {
  if (isModel(ref)) return;
  const version = ref.version === "" ? "" : ` version ${ref.version}`;
  throw new CallError(NOT_FOUND, `Request for unknown model: '${ref.name}'${version} is not found`);
}

function metadata(bytes: Uint8Array): Uint8Array {
  expectModel(readModelRef(bytes));
  return modelMetadata(MODEL, VERSION, "sluice_demo", INPUTS, OUTPUTS);
}

/** Adds one to each element of each input. */
function infer(bytes: Uint8Array): Uint8Array {
  const request = readInferRequest(bytes);
  expectModel({ name: request.modelName, version: request.modelVersion });
  if (request.raw.length > 0 && request.raw.length !== request.inputs.length) {
    throw new CallError(INVALID_ARGUMENT, "raw_input_contents must hold one entry for each input");
  }
  const raw = request.inputs.map((tensor, i) => addOne(tensor, request.raw[i]));
  const outputs = request.inputs.map(({ name, datatype, shape }) => ({
    name: outputName(name),
    datatype,
    shape,
  }));
  return inferResponse(request, VERSION, outputs, raw);
}

function outputName(input: string): string {
  return input.startsWith("INPUT") ? input.replace("INPUT", "OUTPUT") : `${input}_plus_one`;
}

function addOne(tensor: InferTensor, raw: Uint8Array | undefined): Uint8Array {
  const refuse = (why: string): CallError => new CallError(INVALID_ARGUMENT, `input '${tensor.name}' ${why}`);
  const { datatype, shape } = tensor;
  if (datatype !== "INT32" && datatype !== "FP32") {
    throw refuse(`has datatype '${datatype}'; this model adds to INT32 and FP32`);
  }
  if (raw !== undefined && tensor.ints.length + tensor.floats.length > 0) {
    throw refuse("has contents beside raw_input_contents");
  }
  const given = datatype === "INT32" ? tensor.ints : tensor.floats;
  const values = raw === undefined ? given : fromRaw(datatype, raw);
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  if (values.length !== elements) {
    throw refuse(`has ${values.length} elements; its shape [${shape.join(",")}] asks for ${elements}`);
  }
  return toRaw(
    datatype,
    values.map((value) => value + 1),
  );
}

// Raw tensors are little-endian, whatever the machine.
function fromRaw(datatype: "INT32" | "FP32", raw: Uint8Array): number[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Array.from({ length: raw.byteLength / 4 }, (_, i) =>
    datatype === "INT32" ? view.getInt32(4 * i, true) : view.getFloat32(4 * i, true),
  );
}

function toRaw(datatype: "INT32" | "FP32", values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) {
    if (datatype === "INT32") view.setInt32(4 * i, value, true);
    else view.setFloat32(4 * i, value, true);
  }
  return new Uint8Array(view.buffer);
}
