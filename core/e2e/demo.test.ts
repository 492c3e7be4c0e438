import { afterAll, beforeAll, expect, test } from "bun:test";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { BINARY } from "./binary.ts";

/* `sluice demo` of the compiled binary: every line that it prints, pasted into a shell. */

const dir = temporaryDir();
const demo = Bun.spawn([BINARY, "demo"], { cwd: dir.path, stdout: "pipe", stderr: "inherit" });
const lines = new Map<string, string>();

beforeAll(async () => {
  const decoder = new TextDecoder();
  const reader = demo.stdout.getReader();
  let text = "";
  while (!/^routes .*\n/m.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the demo ended: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  // "what it shows   curl …", or the call on a line of its own below what it shows.
  for (const [, label, call] of text.matchAll(/^(\S.*?)(?: {2,}|\n {2})(curl .*|printf .*)$/gm)) {
    lines.set(label!, call!);
  }
});

afterAll(async () => {
  dir[Symbol.dispose]();
  demo.kill("SIGTERM");
  expect(await demo.exited).toBe(0);
});

async function paste(label: string): Promise<string> {
  const call = lines.get(label) ?? [...lines].find(([key]) => key.startsWith(label))?.[1];
  if (call === undefined) throw new Error(`no line "${label}" among ${[...lines.keys()].join(", ")}`);
  return await new Response(Bun.spawn(["bash", "-c", call], { stderr: "ignore" }).stdout).text();
}

test.each([
  ["HTTP/1.1", /^HTTP\/1\.1 200 OK[^]*\r\nx-request-id: [^]*hello\n$/],
  ["HTTP/2, same port", /^HTTP\/2 200 [^]*\r\nx-content-type-options: nosniff[^]*hello\n$/],
  ["what the upstream sees", /"x-demo":"from the gateway"[^]*"body":"some text"/],
  ["server-sent events", /^event: tick\nid: 1\n[^]*data: \{"n":10,"of":10\}\n\n$/],
  ["a route that responds", /^HTTP\/1\.1 418 [^]*short and stout\n$/],
  ["a redirect", /^HTTP\/1\.1 308 [^]*HTTP\/1\.1 200 OK[^]*hello\n$/],
  ["OpenAI", /"object":"chat\.completion"[^]*"total_tokens":22/],
  ["OpenAI, streamed", /^data: [^]*data: \[DONE\]\n\n$/],
  ["Anthropic", /"stop_reason":"end_turn"/],
  ["Anthropic, streamed", /^event: message_start\n[^]*event: message_stop\n/],
  ["gRPC, the server is live", /\^@\^@\^@\^@\^B\^H\^A[^]*grpc-status: 0/],
  ["gRPC, a model that adds one", /\^B\^@\^@\^@\^C\^@\^@\^@\^D\^@\^@\^@[^]*grpc-status: 0/],
  ["metrics", /^sluice_requests_total\{/m],
  ["health", /"version":/],
  ["routes", /"name":"inference"/],
])("%s", async (label, answer) => {
  expect(await paste(label)).toMatch(answer);
});
