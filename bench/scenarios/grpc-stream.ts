import { grpcCase } from "../harness/grpc.ts";
import { checkGrpc } from "../load/grpc-check.ts";
import { startGrpcOrigin } from "../origins/grpc-origin.ts";
import { STREAM, STREAM_BYTES, STREAM_LENGTH, STREAM_REQUEST } from "../origins/grpc-messages.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "grpc-stream",
  title: "gRPC server stream",
  about: `Calls that are answered with ${STREAM_LENGTH} messages of 1,024 bytes, each in a DATA frame of its own, 64 calls at a time on 8 connections.`,
  service: "grpc",
  startOrigin: startGrpcOrigin,
  check: (port) => checkGrpc(port),
  cases: [{ ...grpcCase("8 connections of 8 calls", STREAM, STREAM_REQUEST, STREAM_BYTES), slow: true }],
};
