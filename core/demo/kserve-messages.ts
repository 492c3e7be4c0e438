import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/*
 * The few messages of the Open Inference Protocol (package `inference`, KServe v2) that the pretend model
 * speaks, by their field numbers. Fields that it does not need are skipped.
 */

export interface InferTensor {
  name: string;
  datatype: string;
  shape: number[];
  /** `contents.int_contents` or `contents.fp32_contents`, where the request used them. */
  ints: number[];
  floats: number[];
}

export interface InferRequest {
  modelName: string;
  modelVersion: string;
  id: string;
  inputs: InferTensor[];
  /** Little-endian, one for each input; the other way to send tensors. */
  raw: Uint8Array[];
}

export interface OutputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Reads a message's fields: `read` takes those it knows and answers false for the rest, which are skipped. */
function fields(
  bytes: Uint8Array,
  read: (field: number, reader: BinaryReader, type: WireType) => boolean,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!read(field, reader, type)) reader.skip(type, field);
  }
}

/** Scalars of a repeated field: packed, as proto3 sends them, or one by one. */
function repeated(
  reader: BinaryReader,
  type: WireType,
  into: number[],
  read: (from: BinaryReader) => number,
): void {
  if (type !== WireType.LengthDelimited) {
    into.push(read(reader));
    return;
  }
  const packed = new BinaryReader(reader.bytes());
  while (packed.pos < packed.len) into.push(read(packed));
}

/** The two string fields with which requests name a model: `name` and `version`. */
export function readModelRef(bytes: Uint8Array): { name: string; version: string } {
  const ref = { name: "", version: "" };
  fields(bytes, (field, reader) => {
    if (field === 1) ref.name = reader.string();
    else if (field === 2) ref.version = reader.string();
    else return false;
    return true;
  });
  return ref;
}

/** @throws RangeError or Error on bytes that are no message. */
export function readInferRequest(bytes: Uint8Array): InferRequest {
  const request: InferRequest = { modelName: "", modelVersion: "", id: "", inputs: [], raw: [] };
  fields(bytes, (field, reader) => {
    if (field === 1) request.modelName = reader.string();
    else if (field === 2) request.modelVersion = reader.string();
    else if (field === 3) request.id = reader.string();
    else if (field === 5) request.inputs.push(readTensor(reader.bytes()));
    else if (field === 7) request.raw.push(reader.bytes());
    else return false;
    return true;
  });
  return request;
}

function readTensor(bytes: Uint8Array): InferTensor {
  const tensor: InferTensor = { name: "", datatype: "", shape: [], ints: [], floats: [] };
  fields(bytes, (field, reader, type) => {
    if (field === 1) tensor.name = reader.string();
    else if (field === 2) tensor.datatype = reader.string();
    else if (field === 3) repeated(reader, type, tensor.shape, (from) => Number(from.int64()));
    else if (field === 5) readContents(reader.bytes(), tensor);
    else return false;
    return true;
  });
  return tensor;
}

function readContents(bytes: Uint8Array, tensor: InferTensor): void {
  fields(bytes, (field, reader, type) => {
    if (field === 2) repeated(reader, type, tensor.ints, (from) => from.int32());
    else if (field === 6) repeated(reader, type, tensor.floats, (from) => from.float());
    else return false;
    return true;
  });
}

/** A request as a client sends it, its tensors in `contents`. */
export function inferRequest(modelName: string, inputs: readonly InferTensor[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(modelName);
  for (const { ints, floats, ...tensor } of inputs) {
    writeTensor(writer.tag(5, WireType.LengthDelimited).fork(), tensor);
    writer.tag(5, WireType.LengthDelimited).fork();
    if (ints.length > 0) {
      writer.tag(2, WireType.LengthDelimited).fork();
      for (const value of ints) writer.int32(value);
      writer.join();
    }
    if (floats.length > 0) {
      writer.tag(6, WireType.LengthDelimited).fork();
      for (const value of floats) writer.float(value);
      writer.join();
    }
    writer.join().join();
  }
  return writer.finish();
}

/** A response as Triton answers: tensors in `raw_output_contents`. */
export function inferResponse(
  request: InferRequest,
  version: string,
  outputs: readonly OutputTensor[],
  raw: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(request.modelName);
  writer.tag(2, WireType.LengthDelimited).string(version);
  if (request.id !== "") writer.tag(3, WireType.LengthDelimited).string(request.id);
  for (const output of outputs) {
    writeTensor(writer.tag(5, WireType.LengthDelimited).fork(), output);
    writer.join();
  }
  for (const bytes of raw) writer.tag(6, WireType.LengthDelimited).bytes(bytes);
  return writer.finish();
}

/** name=1, datatype=2, shape=3: alike in inputs, outputs and metadata. */
function writeTensor(writer: BinaryWriter, tensor: TensorMetadata): void {
  writer.tag(1, WireType.LengthDelimited).string(tensor.name);
  writer.tag(2, WireType.LengthDelimited).string(tensor.datatype);
  writer.tag(3, WireType.LengthDelimited).fork();
  for (const dimension of tensor.shape) writer.int64(dimension);
  writer.join();
}

export function modelMetadata(
  name: string,
  version: string,
  platform: string,
  inputs: readonly TensorMetadata[],
  outputs: readonly TensorMetadata[],
): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  writer.tag(2, WireType.LengthDelimited).string(version);
  writer.tag(3, WireType.LengthDelimited).string(platform);
  for (const [field, tensors] of [
    [4, inputs],
    [5, outputs],
  ] as const) {
    for (const tensor of tensors) {
      writeTensor(writer.tag(field, WireType.LengthDelimited).fork(), tensor);
      writer.join();
    }
  }
  return writer.finish();
}

/** name=1, version=2, extensions=3: `ServerMetadataResponse`. */
export function serverMetadata(name: string, version: string): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  return writer.tag(2, WireType.LengthDelimited).string(version).finish();
}

/** A message whose field 1 is `true`: ServerLive, ServerReady, ModelReady; as 1 it is SERVING in grpc.health.v1. */
export const YES: Uint8Array = new BinaryWriter().tag(1, WireType.Varint).bool(true).finish();
/** The same answered with no: a proto3 default is not sent. */
export const NO = new Uint8Array(0);
