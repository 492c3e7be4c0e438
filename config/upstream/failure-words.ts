import { nearest } from "sluice/plugin";
import { textOf } from "../node.ts";
import { Refused, scalar } from "../scalar.ts";
import { GRPC_CODES } from "./grpc-codes.ts";
import type { Section } from "./section.ts";

/** How a try may end badly before any status came, and the class of statuses that is the upstream's fault. */
const WORDS = ["connect", "reset", "timeout", "5xx"];

const GRPC_FAILURES: readonly string[] = GRPC_CODES.filter((code) => code !== "ok");

const STATUS = /^[45]\d\d$/;

/** One way for a request to fail: a word, a status of 400 to 599, or a gRPC code; as text. */
export function failureWord() {
  const words = [...WORDS, ...GRPC_FAILURES];
  return scalar(
    "connect, reset, timeout, 5xx, a status such as 503, or a gRPC code such as unavailable",
    { anyOf: [{ enum: words }, { type: ["string", "integer"], pattern: STATUS.source }] },
    (value) => {
      const written = String(value);
      if (words.includes(written) || STATUS.test(written)) return written;
      const suggestion = nearest(written, words);
      return new Refused(suggestion === undefined ? {} : { suggestion });
    },
  );
}

/** The items of a list of failures that are gRPC codes. */
export function grpcCodesIn(list: Section | undefined): Section[] {
  return (list?.items() ?? []).filter(({ node }) => GRPC_FAILURES.includes(textOf(node) ?? ""));
}

/** Reports gRPC codes where nothing of gRPC is spoken. */
export function checkGrpcCodes(list: Section | undefined, upstream: Section): void {
  const protocol = upstream.at("protocol")?.node;
  if (protocol !== undefined && textOf(protocol) !== "http1") return;
  for (const item of grpcCodesIn(list)) {
    item.error(`${JSON.stringify(textOf(item.node))} is a gRPC code, which needs protocol grpc or http2`);
  }
}
