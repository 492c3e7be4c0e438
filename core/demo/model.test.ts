import { expect, test } from "bun:test";
import fc from "fast-check";
import { complete, countInput, textOf, tokensOf } from "./model.ts";

test("tokens are the text cut up", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(tokensOf(text).join("")).toBe(text);
    }),
  );
  expect(tokensOf("Hello, gateways!")).toEqual(["Hello", ",", " gateway", "s", "!"]);
});

test("an answer repeats what the last user message said, and counts it", () => {
  const messages = [
    { role: "user", content: "first" },
    { role: "assistant", content: "an answer" },
    { role: "user", content: [{ type: "text", text: "second" }] },
  ];
  const answer = complete(messages, undefined);
  expect(answer.pieces.join("")).toStartWith("You said: second\n");
  expect(answer).toMatchObject({ outputTokens: answer.pieces.length, cut: false });
  expect(answer.inputTokens).toBe(3 + 3 * 4 + 1 + 2 + 1);
});

test("the token limit cuts the answer", () => {
  const answer = complete([{ role: "user", content: "hi" }], undefined, 3);
  expect(answer).toMatchObject({ outputTokens: 3, cut: true });
});

test("longer input costs more, system prompts and unknown blocks included", () => {
  const short = countInput([{ role: "user", content: "hi" }], undefined);
  expect(countInput([{ role: "user", content: "hi" }], "be brief")).toBe(short + 2);
  expect(countInput([{ role: "user", content: [{ type: "image", source: {} }] }], undefined)).toBeGreaterThan(
    3 + 4,
  );
  expect(textOf(null)).toBe("");
});
