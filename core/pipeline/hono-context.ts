import { Context, type ExecutionContext } from "hono";
import { HtmlEscapedCallbackPhase, resolveCallback } from "hono/utils/html";
import { EXCHANGE, type Exchange } from "sluice/plugin";
import type { ContextState } from "./context-state.ts";
import { fetchValue } from "./linked-headers.ts";
import type { SluiceRequest } from "./request-view.ts";
import { withKnownBody } from "./response-view.ts";

/** What Hono's answer makers take as their second argument: a status, or an init. */
type StatusOrInit =
  | number
  | { readonly status?: number; readonly headers?: ConstructorParameters<typeof Headers>[0] }
  | undefined;
type HeaderRecord = Readonly<Record<string, string | string[]>>;
type Data = string | ArrayBuffer | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
/** Text, or one of Hono's templates and JSX nodes that become text. */
type Html = string | Promise<string>;

/** Where an answer that a context made notes that the prepared headers are in it. */
const COMPLETE: unique symbol = Symbol("complete");

type CompleteResponse = Response & { [COMPLETE]?: true };

/**
 * Hono's `Context` over an exchange: the whole surface and the semantics of the class, other insides. A header
 * that is set after `next()` goes straight into the exchange; `c.res` and `c.req.raw` are built when asked for.
 *
 * It is a `Context` by its prototype and runs nothing of that class: all state stands in the {@link ContextState}
 * that the steps of a request share, and each step has an object of its own over it. A step that was given up
 * can so be cut off from the request.
 */
export class SluiceContext {
  #state: ContextState;
  readonly #plugin: string;

  /** @param plugin whose step the context is for. */
  constructor(state: ContextState, plugin: string) {
    this.#state = state;
    this.#plugin = plugin;
  }

  /** Nothing that is done through this context from now on has an effect. */
  cutOff(state: ContextState): void {
    this.#state = state;
  }

  get [EXCHANGE](): Exchange {
    return this.#state.exchange;
  }

  get req(): SluiceRequest {
    return this.#state.request;
  }

  get env(): object {
    return this.#state.env;
  }

  set env(env: object) {
    this.#state.env = env;
  }

  get error(): Error | undefined {
    return this.#state.error;
  }

  set error(error: Error | undefined) {
    this.#state.error = error;
  }

  get finalized(): boolean {
    return this.#state.exchange.answer !== undefined;
  }

  /** It follows from whether there is an answer; Hono's is a field, so that assigning it must be allowed. */
  set finalized(_finalized: boolean) {}

  get event(): never {
    throw new Error("This context has no FetchEvent");
  }

  get executionCtx(): ExecutionContext {
    return this.#state.executionOf(this.#plugin);
  }

  get res(): Response {
    return this.#state.response;
  }

  set res(response: Response | undefined) {
    this.#state.response = response;
  }

  get var(): Readonly<Record<string, unknown>> {
    return this.#state.vars === undefined ? {} : Object.fromEntries(this.#state.vars);
  }

  set(key: string, value: unknown): void {
    (this.#state.vars ??= new Map()).set(key, value);
  }

  get(key: string): unknown {
    return this.#state.vars?.get(key);
  }

  header(name: string, value?: string, options?: { readonly append?: boolean }): void {
    this.#state.header(name, value === undefined ? undefined : fetchValue(value), options?.append === true);
  }

  status(status: number): void {
    this.#state.status = status;
  }

  newResponse(data: Data, arg?: StatusOrInit, headers?: HeaderRecord): Response {
    const state = this.#state;
    const all = state.headersForAnswer();
    if (typeof arg === "object" && arg.headers !== undefined) {
      for (const [name, value] of new Headers(arg.headers)) {
        if (name === "set-cookie") all.append(name, value);
        else all.set(name, value);
      }
    }
    for (const name in headers) {
      const value = headers[name]!;
      if (typeof value === "string") {
        all.set(name, value);
        continue;
      }
      all.delete(name);
      for (const one of value) all.append(name, one);
    }
    const status = typeof arg === "number" ? arg : (arg?.status ?? state.status);
    const response = new Response(data, { ...(status !== undefined && { status }), headers: all });
    (response as CompleteResponse)[COMPLETE] = true;
    if (typeof data === "string" || data instanceof Uint8Array) return withKnownBody(response, data);
    return response;
  }

  body(data: Data, arg?: StatusOrInit, headers?: HeaderRecord): Response {
    return this.newResponse(data, arg, headers);
  }

  text(text: string, arg?: StatusOrInit, headers?: HeaderRecord): Response {
    return this.newResponse(text, arg, { "Content-Type": "text/plain; charset=UTF-8", ...headers });
  }

  json(value: unknown, arg?: StatusOrInit, headers?: HeaderRecord): Response {
    // Undefined for what JSON has no text for; that is a body of nothing then, as with Hono.
    const text = JSON.stringify(value) as string | undefined;
    return this.newResponse(text ?? null, arg, { "Content-Type": "application/json", ...headers });
  }

  html(html: Html, arg?: StatusOrInit, headers?: HeaderRecord): Response | Promise<Response> {
    const answer = (text: string): Response =>
      this.newResponse(text, arg, { "Content-Type": "text/html; charset=UTF-8", ...headers });
    if (typeof html !== "object") return answer(html);
    return resolveCallback(html, HtmlEscapedCallbackPhase.Stringify, false, {}).then(answer);
  }

  redirect(location: string | URL, status?: number): Response {
    const text = String(location);
    this.header("Location", /[^\0-\xff]/.test(text) ? encodeURI(text) : text);
    return this.newResponse(null, status ?? 302);
  }

  notFound(): Response {
    return this.text("404 Not Found", 404);
  }

  render(...args: unknown[]): unknown {
    const { renderer } = this.#state;
    return renderer === undefined ? this.html(args[0] as Html) : renderer(...args);
  }

  setRenderer(renderer: (...args: unknown[]) => unknown): void {
    this.#state.renderer = renderer;
  }

  setLayout(layout: unknown): unknown {
    return (this.#state.layout = layout);
  }

  getLayout(): unknown {
    return this.#state.layout;
  }
}

/** Whether a context made this answer, so that the headers prepared before are in it. */
export function isComplete(response: Response): boolean {
  return (response as CompleteResponse)[COMPLETE] === true;
}

/** A context as a middleware knows it. */
export function asHono(context: SluiceContext): Context {
  return context as unknown as Context;
}

Object.setPrototypeOf(SluiceContext.prototype, Context.prototype);

/*
 * Hono's are closures, so that a middleware may take them off the context (`const { json } = c`) or put its own
 * in their place. A closure each a context would cost more than everything else about it; these are bound when
 * they are asked for.
 */
const METHODS = [
  ...(["set", "get", "header", "status", "newResponse", "body", "text", "json", "html", "redirect"] as const),
  ...(["notFound", "render", "setRenderer", "setLayout", "getLayout"] as const),
];

for (const name of METHODS) {
  const method: (this: SluiceContext, ...args: never[]) => unknown = SluiceContext.prototype[name];
  Object.defineProperty(SluiceContext.prototype, name, {
    get(this: SluiceContext) {
      return method.bind(this);
    },
    set(this: SluiceContext, value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
  });
}
