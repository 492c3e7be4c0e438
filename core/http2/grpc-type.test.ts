import { expect, test } from "bun:test";
import { isGrpcType } from "./grpc-type.ts";

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc+json; charset=utf-8", true],
  ["application/grpc;x=1", true],
  ["Application/GRPC", true],
  ["application/grpcfoo", false],
  ["application/grpc-web", false],
  ["application/grpc-web+proto", false],
  ["application/grpc.x", false],
  ["x-application/grpc", false],
  ["", false],
])("%s", (type, grpc) => {
  expect(isGrpcType(type)).toBe(grpc);
});
