import { afterAll, expect, test } from "bun:test";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import { anthropicApp } from "./anthropic-app.ts";
import { serveApp } from "./serve.ts";

const clock = createFakeClock();
const server = serveApp(anthropicApp(clock, createSeededRandom(1)));
afterAll(() => server.close());

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

const hello = {
  model: "claude-haiku-4-5",
  max_tokens: 100,
  system: "be kind",
  messages: [{ role: "user", content: "Hello there" }],
};

interface Event {
  type: string;
  delta?: { text?: string };
}

interface Message {
  content: { text: string }[];
  usage: { input_tokens: number; output_tokens: number };
}

test("a message has the published shape and counts its tokens", async () => {
  const answer = await post("/v1/messages", hello);
  expect(answer.headers.get("request-id")).toMatch(/^req_[0-9a-f]+$/);
  const message = (await answer.json()) as Message;
  expect(message).toMatchObject({
    id: expect.stringMatching(/^msg_[0-9a-f]+$/),
    type: "message",
    role: "assistant",
    model: "claude-haiku-4-5",
    content: [{ type: "text" }],
    stop_reason: "end_turn",
    stop_sequence: null,
  });
  expect(message.content[0]?.text).toStartWith("You said: Hello there");
  expect((await post("/v1/messages", { ...hello, system: undefined })).status).toBe(200);
  const counted = await (await post("/v1/messages/count_tokens", hello)).json();
  expect(counted).toEqual({ input_tokens: message.usage.input_tokens });
});

test("a stream is the same message, event by event", async () => {
  const whole = (await (await post("/v1/messages", hello)).json()) as Message;
  const answer = await post("/v1/messages", { ...hello, stream: true });
  expect(answer.headers.get("request-id")).toStartWith("req_");
  const reading = answer.text();
  while (Bun.peek.status(reading) === "pending") await clock.advance(20);
  const events = (await reading)
    .split("\n\n")
    .slice(0, -1)
    .map((event) => /^event: (.+)\ndata: (.+)$/.exec(event)!)
    .map(([, name, data]) => ({ name, data: JSON.parse(data!) as Event }));
  for (const { name, data } of events) expect(data.type).toBe(name!);
  const names = events.map(({ name }) => name).filter((name, i, all) => name !== all[i - 1]);
  expect(names).toEqual([
    "message_start",
    "content_block_start",
    "ping",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const text = events
    .filter(({ name }) => name === "content_block_delta")
    .map(({ data }) => data.delta?.text)
    .join("");
  expect(text).toBe(whole.content[0]?.text ?? "");
  expect(events.find(({ name }) => name === "message_delta")?.data).toMatchObject({
    delta: { stop_reason: "end_turn" },
    usage: { output_tokens: whole.usage.output_tokens },
  });
});

test("max_tokens cuts the answer", async () => {
  expect(await (await post("/v1/messages", { ...hello, max_tokens: 1 })).json()).toMatchObject({
    stop_reason: "max_tokens",
    usage: { output_tokens: 1 },
  });
});

test.each([
  ["no JSON", "{", 400, "invalid_request_error"],
  ["no max_tokens", { ...hello, max_tokens: undefined }, 400, "invalid_request_error"],
  [
    "a role that is none",
    { ...hello, messages: [{ role: "system", content: "x" }] },
    400,
    "invalid_request_error",
  ],
  ["an unknown model", { ...hello, model: "claude-none" }, 404, "not_found_error"],
])("%s is refused in Anthropic's form", async (_, request, status, type) => {
  const answer = await post("/v1/messages", request);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toEqual({
    type: "error",
    error: { type, message: expect.any(String) },
    request_id: answer.headers.get("request-id")!,
  });
});

test("a request without anthropic-version is refused", async () => {
  const answer = await fetch(`${server.url}/v1/messages`, { method: "POST", body: JSON.stringify(hello) });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { message: "anthropic-version: header is required" } });
});
