import { type Context, Hono } from "hono";
import type { Clock, Random } from "sluice/plugin";
import { z } from "zod";
import { type Completion, complete, TOKEN_MS, tokensOf } from "./model.ts";
import { eventStream, sse } from "./pace.ts";

const CHAT_MODELS = ["gpt-4o", "gpt-4o-mini"];
const EMBEDDING_MODEL = "text-embedding-3-small";
/** When the pretend models were made, in seconds since the epoch. */
const CREATED = 1_715_367_049;

const chatSchema = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.unknown().optional() })).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
});

const embeddingSchema = z.object({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string()).min(1).max(2048)]),
  dimensions: z.int().min(1).max(1536).default(1536),
  encoding_format: z.enum(["float", "base64"]).default("float"),
});

/** The part of OpenAI's API that a chat client needs: models, chat completions (whole and streamed), embeddings. */
export function openaiApp(clock: Clock, random: Random): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header("x-request-id", `req_${random.hex(16)}`);
  });
  app.get("/v1/models", (c) => {
    const data = [...CHAT_MODELS, EMBEDDING_MODEL].map((id) => ({
      id,
      object: "model",
      created: CREATED,
      owned_by: "sluice-demo",
    }));
    return c.json({ object: "list", data });
  });
  app.post("/v1/chat/completions", async (c) => {
    const request = await body(c, chatSchema);
    if (request instanceof Response) return request;
    if (!CHAT_MODELS.includes(request.model)) return unknownModel(c, request.model);
    const limit = request.max_completion_tokens ?? request.max_tokens ?? undefined;
    const answer = complete(request.messages, undefined, limit);
    const head = {
      id: `chatcmpl-${random.hex(12)}`,
      created: Math.floor(clock.now() / 1000),
      model: request.model,
      service_tier: "default",
      system_fingerprint: "fp_sluicedemo",
    };
    if (request.stream !== true) return c.json(whole(head, answer));
    return eventStream(clock, TOKEN_MS, chunks(head, answer, request.stream_options?.include_usage === true));
  });
  app.post("/v1/embeddings", async (c) => {
    const request = await body(c, embeddingSchema);
    if (request instanceof Response) return request;
    if (request.model !== EMBEDDING_MODEL) return unknownModel(c, request.model);
    const texts = typeof request.input === "string" ? [request.input] : request.input;
    const data = texts.map((text, index) => {
      const vector = embed(text, request.dimensions);
      const embedding =
        request.encoding_format === "base64"
          ? Buffer.from(vector.buffer).toString("base64")
          : Array.from(vector);
      return { object: "embedding", index, embedding };
    });
    const tokens = texts.reduce((sum, text) => sum + tokensOf(text).length, 0);
    return c.json({
      object: "list",
      data,
      model: request.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  });
  app.notFound((c) => refuse(c, 404, `Invalid URL (${c.req.method} ${c.req.path})`));
  return app;
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

const finish = ({ cut }: Completion): string => (cut ? "length" : "stop");

function usageOf({ inputTokens, outputTokens }: Completion): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function whole(head: Head, answer: Completion): object {
  const message = { role: "assistant", content: answer.pieces.join(""), refusal: null, annotations: [] };
  const choice = { index: 0, message, logprobs: null, finish_reason: finish(answer) };
  return { ...head, object: "chat.completion", choices: [choice], usage: usageOf(answer) };
}

/** The first chunk has the role, the last one the reason; the usage has a chunk of its own with no choices. */
function chunks(head: Head, answer: Completion, withUsage: boolean): string[] {
  const chunk = (choices: readonly object[], usage: object | null): string =>
    sse({ ...head, object: "chat.completion.chunk", choices, ...(withUsage ? { usage } : {}) });
  const choice = (delta: object, reason: string | null): object[] => [
    { index: 0, delta, logprobs: null, finish_reason: reason },
  ];
  return [
    chunk(choice({ role: "assistant", content: "", refusal: null }, null), null),
    ...answer.pieces.map((content) => chunk(choice({ content }, null), null)),
    chunk(choice({}, finish(answer)), null),
    ...(withUsage ? [chunk([], usageOf(answer))] : []),
    sse("[DONE]"),
  ];
}

/** A vector of length 1 that depends on the text alone. */
function embed(text: string, dimensions: number): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(dimensions);
  let state = Bun.hash.crc32(text) || 1;
  for (let i = 0; i < dimensions; i++) {
    // xorshift32 (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    vector[i] = state / 2_147_483_648;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** The parsed request, or the refusal of one that is malformed. */
async function body<S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S> | Response> {
  const json: unknown = await c.req.json().catch(() => undefined);
  if (json === undefined) {
    return refuse(c, 400, "We could not parse the JSON body of your request.");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join(".") ?? null;
  return refuse(c, 400, `Invalid value for '${param ?? "body"}': ${issue?.message ?? "invalid"}.`, param);
}

function unknownModel(c: Context, model: string): Response {
  return refuse(c, 404, `The model \`${model}\` does not exist.`, null, "model_not_found");
}

function refuse(
  c: Context,
  status: 400 | 404,
  message: string,
  param: string | null = null,
  code: string | null = null,
): Response {
  return c.json({ error: { message, type: "invalid_request_error", param, code } }, status);
}
