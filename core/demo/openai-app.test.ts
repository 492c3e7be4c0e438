import { afterAll, expect, test } from "bun:test";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import { openaiApp } from "./openai-app.ts";
import { serveApp } from "./serve.ts";

const clock = createFakeClock();
const server = serveApp(openaiApp(clock, createSeededRandom(1)));
afterAll(() => server.close());

function post(path: string, body: unknown): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: text,
  });
}

const hello = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello there" }] };

/** Reads a stream to its end while time passes. */
async function dataOf(answer: Response): Promise<string[]> {
  const reading = answer.text();
  while (Bun.peek.status(reading) === "pending") await clock.advance(20);
  return (await reading)
    .split("\n\n")
    .slice(0, -1)
    .map((event) => event.replace(/^data: /, ""));
}

interface Chunk {
  object: string;
  id: string;
  choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
}

test("a chat completion has the published shape and counts its tokens", async () => {
  const answer = await post("/v1/chat/completions", hello);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
  const body = (await answer.json()) as {
    choices: { message: { content: string } }[];
    usage: Chunk["usage"];
  };
  expect(body).toMatchObject({
    id: expect.stringMatching(/^chatcmpl-[0-9a-f]+$/),
    object: "chat.completion",
    created: Math.floor(clock.now() / 1000),
    model: "gpt-4o-mini",
    choices: [
      { index: 0, message: { role: "assistant", refusal: null }, logprobs: null, finish_reason: "stop" },
    ],
  });
  expect(body.choices[0]?.message.content).toStartWith("You said: Hello there");
  expect(body.usage).toMatchObject({ prompt_tokens: 9 });
  expect(body.usage?.total_tokens).toBe(9 + (body.usage?.completion_tokens ?? 0));
});

test("a stream begins with the role, ends with a reason, the usage and [DONE]", async () => {
  const whole = (await (await post("/v1/chat/completions", hello)).json()) as {
    choices: { message: { content: string } }[];
    usage: Chunk["usage"];
  };
  const request = { ...hello, stream: true, stream_options: { include_usage: true } };
  const answer = await post("/v1/chat/completions", request);
  expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
  expect(answer.headers.get("x-request-id")).toStartWith("req_");
  const data = await dataOf(answer);
  expect(data.pop()).toBe("[DONE]");
  const chunks = data.map((text) => JSON.parse(text) as Chunk);
  const usage = chunks.pop();
  expect(usage?.choices).toEqual([]);
  expect(usage?.usage).toEqual(whole.usage);
  expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
  expect(chunks.at(-1)?.choices[0]).toMatchObject({ index: 0, finish_reason: "stop", delta: {} });
  expect(chunks.slice(0, -1).every(({ choices }) => choices[0]?.finish_reason === null)).toBe(true);
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  expect(text).toBe(whole.choices[0]?.message.content ?? "");
});

test("a stream says nothing of usage unless asked", async () => {
  const data = await dataOf(await post("/v1/chat/completions", { ...hello, stream: true }));
  expect(data.some((text) => text.includes("usage"))).toBe(false);
});

test("max_tokens cuts the answer", async () => {
  const answer = await post("/v1/chat/completions", { ...hello, max_tokens: 2 });
  expect(await answer.json()).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 2 },
  });
});

test("models are listed", async () => {
  const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: { id: string }[] };
  expect(data.map(({ id }) => id)).toEqual(["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]);
});

test("embeddings are unit vectors of the text alone, as floats and as base64", async () => {
  const request = { model: "text-embedding-3-small", input: ["one", "two", "one"], dimensions: 8 };
  const floats = (await (await post("/v1/embeddings", request)).json()) as {
    data: { embedding: number[] }[];
  };
  const [one, two, again] = floats.data.map(({ embedding }) => embedding);
  expect(one).toHaveLength(8);
  expect(Math.hypot(...one!)).toBeCloseTo(1);
  expect(again).toEqual(one);
  expect(two).not.toEqual(one);
  const packed = (await (await post("/v1/embeddings", { ...request, encoding_format: "base64" })).json()) as {
    data: { embedding: string }[];
    usage: object;
  };
  const bytes = Buffer.from(packed.data[0]?.embedding ?? "", "base64");
  expect(bytes.byteLength).toBe(32);
  expect(bytes.readFloatLE(0)).toBeCloseTo(one?.[0] ?? 0);
  expect(packed.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
});

test.each([
  ["no JSON", "{", 400, null, null],
  ["no messages", { model: "gpt-4o" }, 400, "messages", null],
  ["an impossible limit", { ...hello, max_tokens: 0 }, 400, "max_tokens", null],
  ["an unknown model", { ...hello, model: "gpt-none" }, 404, null, "model_not_found"],
])("%s is refused in OpenAI's form", async (_, request, status, param, code) => {
  const answer = await post("/v1/chat/completions", request);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toEqual({
    error: { message: expect.any(String), type: "invalid_request_error", param, code },
  });
});
