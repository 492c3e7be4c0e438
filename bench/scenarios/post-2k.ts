import { expectAnswer } from "../harness/check.ts";
import { throughputOf } from "../harness/costs.ts";
import { postScript, runWrk } from "../load/wrk.ts";
import { JSON_ANSWER, JSON_REQUEST } from "../origins/json-messages.ts";
import { startJsonOrigin } from "../origins/json-origin.ts";
import type { Scenario } from "../scenario.ts";

const JSON_TYPE = "application/json";
let script = "";

export const scenario: Scenario = {
  name: "post-2k",
  title: "POST 2 KB of JSON",
  about:
    "A POST of 2,048 bytes of JSON, answered with 300; 64 keep-alive connections. The origin answers 400 to a body that is not exactly the one that was sent.",
  service: "json",
  startOrigin(dir) {
    script = postScript(dir, JSON_REQUEST, JSON_TYPE);
    return startJsonOrigin();
  },
  check: (port) =>
    expectAnswer(port, "/orders", JSON_ANSWER, {
      method: "POST",
      headers: { "content-type": JSON_TYPE },
      body: JSON_REQUEST,
    }),
  cases: [
    {
      name: "64 connections",
      slow: true,
      measure: (target, seconds) =>
        throughputOf(target, () =>
          runWrk({
            port: target.port,
            path: "/orders",
            connections: 64,
            seconds,
            script,
            expectBytesEach: JSON_ANSWER.byteLength,
          }),
        ),
    },
  ],
};
