import { beforeAll, expect, test } from "bun:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import {
  BROKEN,
  EXAMPLES,
  GOOD_EXAMPLES,
  PLANNED_EXAMPLES,
  SUSPICIOUS,
  yamlFilesIn,
} from "../../config/testing/corpus.ts";
import { runBinary } from "./binary.ts";
import { ROOT } from "./paths.ts";

/* `sluice schema` of the compiled binary, as an editor would use it: with the real plugins inside. */

let validate: ValidateFunction;
beforeAll(async () => {
  const { code, stdout, stderr } = await runBinary(["schema"], ROOT);
  expect([code, stderr]).toEqual([0, ""]);
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
  validate = ajv.compile(JSON.parse(stdout) as object);
});

const accepts = (yaml: string): boolean => validate(parse(yaml));
const fileIn = (folder: string, name: string): string => readFileSync(join(folder, name), "utf8");

test.each(GOOD_EXAMPLES)("accepts %s", (name) => {
  expect(accepts(fileIn(EXAMPLES, name))).toBe(true);
});

test.each(PLANNED_EXAMPLES)("refuses %s, as validate does", (name) => {
  expect(accepts(fileIn(EXAMPLES, name))).toBe(false);
});

test.each(yamlFilesIn(SUSPICIOUS))("accepts %s, as validate does", (name) => {
  expect(accepts(fileIn(SUSPICIOUS, name))).toBe(true);
});

// What one value alone can tell; names that must exist and files that must be there are validate's matter.
test.each([
  "admin-nothing.yaml",
  "listener-limits-duration.yaml",
  "listener-unknown-key.yaml",
  "listeners-not-a-list.yaml",
  "log-level.yaml",
  "match-path-slash.yaml",
  "redirect-without-target.yaml",
  "respond-status.yaml",
  "route-unknown-key.yaml",
  "step-options-unknown-key.yaml",
  "step-options-wrong-type.yaml",
  "steps-not-a-list.yaml",
  "top-unknown-key.yaml",
  "top-version-wrong.yaml",
  "upstream-balance-unknown.yaml",
  "upstream-targets-text.yaml",
])("refuses %s", (name) => {
  expect(accepts(fileIn(BROKEN, name))).toBe(false);
});

const withStep = (step: string): string =>
  `{ version: 1, routes: [{ pipeline: [${step}], respond: { status: 204 } }] }`;

test.each([
  "request-id",
  "{ headers: { response: { set: { x-a: b } } } }",
  "{ security-headers: { x_frame_options: false } }",
])("knows the options of a built-in: %s", (step) => {
  expect(accepts(withStep(step))).toBe(true);
});

test.each(["{ headers: { respons: {} } }", "{ headers: 7 }", "{ security-headers: { x_frame_options: 1 } }"])(
  "refuses options that a built-in has not: %s",
  (step) => {
    expect(accepts(withStep(step))).toBe(false);
  },
);
