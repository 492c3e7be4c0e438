import { afterAll, expect, test } from "bun:test";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import { demoBanner } from "./banner.ts";
import { startDemoUpstreams } from "./upstreams.ts";

const clock = createFakeClock();
const upstreams = await startDemoUpstreams({ clock, random: createSeededRandom(1) });
afterAll(() => upstreams.close());

/** The banner's lines that hold `text`, for a gateway that is the upstream itself; what bash answers to each. */
async function pasted(upstream: string, text: string): Promise<string[]> {
  const lines = demoBanner({ gateway: Number(new URL(upstream).port), admin: 1 }).split("\n");
  const answers: string[] = [];
  for (const line of lines.filter((l) => l.includes(text))) {
    const bash = Bun.spawn(["bash", "-c", line.replace(/^.*?(?=curl|printf)/, "")], { stderr: "ignore" });
    const reading = new Response(bash.stdout).text();
    while (Bun.peek.status(reading) === "pending") await clock.advance(100);
    answers.push(await reading);
  }
  return answers;
}

test("the gRPC lines call the inference server", async () => {
  const [live, infer] = await pasted(upstreams.kserve, "GRPCInferenceService");
  expect(live).toContain("^@^@^@^@^B^H^A");
  expect(live).toContain("grpc-status: 0");
  expect(infer).toContain("^B^@^@^@^C^@^@^@^D^@^@^@");
  expect(infer).toContain("grpc-status: 0");
});

test("the OpenAI and Anthropic lines are answered, whole and streamed", async () => {
  const [whole, streamed] = await pasted(upstreams.openai, "/v1/chat/completions");
  expect(whole).toContain('"finish_reason":"stop"');
  expect(streamed).toEndWith("data: [DONE]\n\n");
  const [message, events] = await pasted(upstreams.anthropic, "/v1/messages");
  expect(message).toContain('"stop_reason":"end_turn"');
  expect(events).toContain("event: message_stop");
});

test("the plain lines are answered", async () => {
  const [hello] = await pasted(upstreams.http, "HTTP/1.1 ");
  expect(hello).toMatch(/^HTTP\/1\.1 200 OK[^]*hello\n$/);
  expect((await pasted(upstreams.http, "/echo"))[0]).toContain('"body":"some text"');
  expect((await pasted(upstreams.http, "/stream"))[0]).toContain('data: {"n":10,"of":10}');
});
