import { definePlugin, type Exchange, exchangeOf, headerName, TRACE_ID } from "sluice/plugin";
import { z } from "zod";
import { newTraceParent, readTraceParent, type TraceParent, writeTraceParent } from "./trace-context.ts";

/** What an id from outside may look like: safe in logs, URLs, JSON and header fields. */
const ACCEPTABLE = /^[A-Za-z0-9._~:+/=@-]{1,128}$/;

/** Counts where the field of the configured name holds no acceptable id. */
const CORRELATION_ID = "x-correlation-id";

const acceptable = (id: string | undefined): string | undefined =>
  id !== undefined && ACCEPTABLE.test(id) ? id : undefined;

export default definePlugin({
  apiVersion: 1,
  name: "request-id",
  description:
    "Accepts or creates a request id and a W3C trace context, for the upstream, the answer and the log.",
  schema: z.strictObject({
    header: headerName()
      .default("x-request-id")
      .describe("The header field that carries the id, on the request and on the answer."),
    accept: z
      .enum(["anyone", "trusted-proxies", "nobody"])
      .default("anyone")
      .describe("Whose ids and traces are continued; those of others are replaced."),
    echo: z.boolean().default(true).describe("Puts the id on the answer."),
    traceparent: z
      .enum(["create", "continue", "off"])
      .default("create")
      .describe(
        "create: continue the caller's trace or begin one; continue: only the caller's; off: leave the fields alone.",
      ),
    sampled: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe("The share of traces begun here that are marked as sampled, 0 to 1."),
  }),
  setup({ header, accept, echo, traceparent, sampled }, { random }) {
    const believes = (exchange: Exchange): boolean =>
      accept === "anyone" || (accept === "trusted-proxies" && exchange.fromTrustedProxy);

    function identify(exchange: Exchange, believed: boolean): void {
      const { headers } = exchange.request;
      const own = believed ? acceptable(headers.get(header)) : undefined;
      const other = believed ? acceptable(headers.get(CORRELATION_ID)) : undefined;
      // The gateway has made an id already; it stays where none is accepted.
      const id = own ?? other;
      if (id !== undefined) exchange.requestId = id;
      // What was not accepted must not reach an upstream that would log it as the id.
      if (other === undefined) headers.delete(CORRELATION_ID);
      headers.set(header, exchange.requestId);
    }

    function trace(exchange: Exchange, believed: boolean): void {
      const { headers } = exchange.request;
      const given = believed ? readTraceParent(headers) : undefined;
      if (given !== undefined) return pass(exchange, given, random.hex(8));
      // §3.3.1.2: without a valid traceparent, a tracestate means nothing.
      headers.delete("tracestate");
      if (traceparent !== "create") headers.delete("traceparent");
      else {
        const { parent, spanId } = newTraceParent(random, decideSampled());
        pass(exchange, parent, spanId);
      }
    }

    function pass(exchange: Exchange, parent: TraceParent, spanId: string): void {
      exchange.request.headers.set("traceparent", writeTraceParent(parent, spanId));
      exchange.set(TRACE_ID, parent.traceId);
    }

    const decideSampled = (): boolean => sampled >= 1 || (sampled > 0 && random.next() < sampled);

    return {
      async handle(c, next) {
        const exchange = exchangeOf(c);
        const believed = believes(exchange);
        identify(exchange, believed);
        if (traceparent !== "off") trace(exchange, believed);
        await next();
        if (echo) exchange.response?.headers.set(header, exchange.requestId);
      },
    };
  },
});
