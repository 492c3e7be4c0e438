import { type Context, Hono } from "hono";
import type { Clock, Random } from "sluice/plugin";
import { z } from "zod";
import { type Completion, complete, countInput, TOKEN_MS } from "./model.ts";
import { eventStream, sse } from "./pace.ts";

const MODELS = ["claude-haiku-4-5", "claude-sonnet-4-5"];

const countSchema = z.object({
  model: z.string(),
  messages: z
    .array(z.object({ role: z.enum(["user", "assistant"]), content: z.unknown().optional() }))
    .min(1),
  system: z.unknown().optional(),
});
const messagesSchema = countSchema.extend({
  max_tokens: z.int().positive(),
  stream: z.boolean().optional(),
});

/** What the app's middleware hands to its handlers. */
interface Env {
  Variables: { requestId: string };
}

/** The Messages part of Anthropic's API: messages (whole and streamed) and count_tokens. */
export function anthropicApp(clock: Clock, random: Random): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("requestId", `req_${random.hex(12)}`);
    if (c.req.header("anthropic-version") !== undefined) await next();
    else c.res = refuse(c, 400, "invalid_request_error", "anthropic-version: header is required");
    c.header("request-id", c.get("requestId"));
  });
  app.post("/v1/messages/count_tokens", async (c) => {
    const request = await body(c, countSchema);
    if (request instanceof Response) return request;
    return c.json({ input_tokens: countInput(request.messages, request.system) });
  });
  app.post("/v1/messages", async (c) => {
    const request = await body(c, messagesSchema);
    if (request instanceof Response) return request;
    const answer = complete(request.messages, request.system, request.max_tokens);
    const head = { id: `msg_${random.hex(12)}`, type: "message", role: "assistant", model: request.model };
    if (request.stream !== true) return c.json(whole(head, answer));
    return eventStream(clock, TOKEN_MS, events(head, answer));
  });
  app.notFound((c) => refuse(c, 404, "not_found_error", "Not Found"));
  return app;
}

const stopReason = ({ cut }: Completion): string => (cut ? "max_tokens" : "end_turn");

function usageOf(answer: Completion, outputTokens: number): object {
  return {
    input_tokens: answer.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: outputTokens,
    service_tier: "standard",
  };
}

function whole(head: object, answer: Completion): object {
  return {
    ...head,
    content: [{ type: "text", text: answer.pieces.join("") }],
    stop_reason: stopReason(answer),
    stop_sequence: null,
    usage: usageOf(answer, answer.outputTokens),
  };
}

/** Every event names itself twice: in its `event:` line, which the SDKs need, and in its `type`. */
function events(head: object, answer: Completion): string[] {
  const event = (type: string, fields: object = {}): string => sse({ type, ...fields }, type);
  const message = {
    ...head,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: usageOf(answer, 1),
  };
  return [
    event("message_start", { message }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    event("ping"),
    ...answer.pieces.map((text) =>
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
    ),
    event("content_block_stop", { index: 0 }),
    event("message_delta", {
      delta: { stop_reason: stopReason(answer), stop_sequence: null },
      usage: { output_tokens: answer.outputTokens },
    }),
    event("message_stop"),
  ];
}

/** The parsed request, or the refusal of one that is malformed or names a model that is not there. */
async function body<S extends typeof countSchema>(
  c: Context<Env>,
  schema: S,
): Promise<z.output<S> | Response> {
  const json: unknown = await c.req.json().catch(() => undefined);
  if (json === undefined) {
    return refuse(c, 400, "invalid_request_error", "The request body is not valid JSON");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = issue?.path.join(".") ?? "";
    return refuse(c, 400, "invalid_request_error", `${place}: ${issue?.message ?? "invalid"}`);
  }
  const { model } = parsed.data;
  return MODELS.includes(model) ? parsed.data : refuse(c, 404, "not_found_error", `model: ${model}`);
}

function refuse(c: Context<Env>, status: 400 | 404, type: string, message: string): Response {
  return c.json({ type: "error", error: { type, message }, request_id: c.get("requestId") }, status);
}
