import { describe, expect, test } from "bun:test";
import { GRPC_CODES } from "../../config/upstream/grpc-codes.ts";
import { failureMatcher } from "./failure-class.ts";

describe("requests without an answer", () => {
  const REASONS = [
    "connect",
    "tls",
    "reset",
    "protocol",
    "timeout.connect",
    "timeout.first_byte",
    "timeout.idle",
    "timeout.request",
  ];
  test.each([
    ["connect", ["connect", "tls", "timeout.connect"]],
    ["reset", ["reset", "protocol"]],
    ["timeout", ["timeout.connect", "timeout.first_byte", "timeout.idle", "timeout.request"]],
    ["5xx", []],
    ["503", []],
    ["unavailable", []],
  ])("%s", (word, expected) => {
    const { failed } = failureMatcher([word]);
    expect(REASONS.filter((reason) => failed(reason))).toEqual(expected);
  });

  test("what clients, limits and the gateway do is nobody's failure", () => {
    const { failed } = failureMatcher(["connect", "reset", "timeout", "5xx", "unavailable"]);
    for (const reason of [
      "overflow",
      "no_target",
      "client.gone",
      "client_closed",
      "shutdown",
      "internal",
      "timeout.deadline",
      "timeout.head",
      "timeout.body",
      "timeout.tunnel",
    ])
      expect([reason, failed(reason)]).toEqual([reason, false]);
  });
});

describe("answers", () => {
  const statuses = (on: string[], grpcStatus?: number) =>
    [101, 200, 304, 404, 429, 499, 500, 503, 599, 600, 999].filter((status) =>
      failureMatcher(on).answered(status, grpcStatus),
    );

  test("by class and by status", () => {
    expect(statuses(["5xx"])).toEqual([500, 503, 599]);
    expect(statuses(["503", "429"])).toEqual([429, 503]);
    expect(statuses(["5xx", "404"])).toEqual([404, 500, 503, 599]);
    expect(statuses(["connect", "reset", "timeout", "unavailable"])).toEqual([]);
    expect(statuses([])).toEqual([]);
    expect(statuses(["503"], 0)).toEqual([503]);
  });

  test("by gRPC code, and by no code that there is not", () => {
    for (const [code, name] of GRPC_CODES.entries()) {
      if (code === 0) continue;
      const { answered } = failureMatcher([name, "connect"]);
      const matching = Array.from({ length: 100 }, (_, i) => i - 40).filter((i) => answered(200, i));
      expect([name, matching]).toEqual([name, [code]]);
      expect(answered(200, undefined)).toBe(false);
      expect(answered(200, NaN)).toBe(false);
    }
    const both = failureMatcher(["unavailable", "resource-exhausted"]);
    expect([8, 13, 14].map((code) => both.answered(200, code))).toEqual([true, false, true]);
  });
});

test.each(["", "ok", "canceled", "UNAVAILABLE", "4xx", "600", "5XX", "timeout.idle"])(
  "%j names no failure",
  (word) => {
    expect(() => failureMatcher(["connect", word])).toThrow(
      TypeError(`${JSON.stringify(word)} names no failure`),
    );
  },
);
