import { grpcCase } from "../harness/grpc.ts";
import { checkGrpc } from "../load/grpc-check.ts";
import { startGrpcOrigin } from "../origins/grpc-origin.ts";
import { UNARY, UNARY_BYTES, UNARY_REQUEST } from "../origins/grpc-messages.ts";
import type { Scenario } from "../scenario.ts";

const CASE = "8 connections of 8 calls";

export const scenario: Scenario = {
  name: "grpc-unary",
  title: "gRPC unary, 1 KB each way",
  about:
    "Unary calls over HTTP/2 in clear text with a message of 1,024 bytes each way, 64 calls at a time on 8 connections. The origin looks at every byte that it is asked with.",
  service: "grpc",
  startOrigin: startGrpcOrigin,
  check: (port) => checkGrpc(port),
  cases: [grpcCase(CASE, UNARY, UNARY_REQUEST, UNARY_BYTES)],
  aims: [
    {
      what: "gRPC unary: throughput of nginx's",
      unit: "×",
      least: 1,
      value: ({ of }) => of(CASE, "sluice", "throughput") / of(CASE, "nginx", "throughput"),
    },
  ],
};
