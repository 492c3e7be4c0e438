import { type Body, SluiceError } from "sluice/plugin";
import { HonoRequest } from "hono/request";
import { getPath } from "hono/utils/url";
import { bodyOfStream, openStream, untouchedBody } from "./body-stream.ts";
import type { HttpExchange } from "./exchange.ts";
import type { HonoMatch } from "./hono-match.ts";
import { HeaderLink } from "./linked-headers.ts";
import { normalizeTarget } from "./path.ts";
import { RequestBody } from "./request-body.ts";

/** Methods that `Request` keeps as they are; any other is an own property of ours. */
const FETCH_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

/** Stands in a `Request` for those others; it may have a body. */
const ODD_METHOD = "POST";

/** A `Request` that was built, and what the exchange said then. */
interface Built {
  readonly request: Request;
  readonly link: HeaderLink;
  readonly method: string;
  readonly url: string;
  /** The exchange's body. */
  readonly body: Body | null;
  /** What the request's own stream reads from. */
  readonly tap: Body | undefined;
}

/**
 * `c.req`: method, path, query and headers are answered from the exchange; only `raw` and the body readers
 * build a `Request`. Changes to `raw.headers`, and another request in the place of `raw`, go upstream; a body
 * that is read through it goes upstream all the same.
 */
export class SluiceRequest extends HonoRequest {
  readonly #exchange: HttpExchange;
  #built: Built | undefined;

  constructor(exchange: HttpExchange, match: HonoMatch) {
    super(undefined as unknown as Request, "/", match);
    // Fields of the base class that are accessors here, so that nothing is built before it is asked for.
    delete (this as Partial<HonoRequest>).raw;
    delete (this as Partial<HonoRequest>).path;
    this.#exchange = exchange;
  }

  override get method(): string {
    return this.#exchange.request.method;
  }

  override get url(): string {
    const { scheme, authority, path, search } = this.#exchange.request;
    // HTTP/1.0 knows requests without a host.
    return `${scheme}://${authority === "" ? "localhost" : authority}${path}${search}`;
  }

  override header(name: string): string | undefined;
  override header(): Record<string, string>;
  override header(name?: string): string | undefined | Record<string, string> {
    if (this.#built !== undefined) return name === undefined ? super.header() : super.header(name);
    if (name !== undefined) return this.#header(name.toLowerCase());
    const all = Object.create(null) as Record<string, string>;
    for (const [key] of this.#exchange.request.headers) all[key] ??= this.#header(key) ?? "";
    for (const key of ["host", "content-length"]) {
      const value = this.#header(key);
      if (value !== undefined) all[key] = value;
    }
    return all;
  }

  /** The `Request`, in step with the exchange. */
  open(): Request {
    const { request } = this.#exchange;
    const built = this.#built;
    if (
      built !== undefined &&
      built.body === request.body &&
      built.method === request.method &&
      built.url === this.url
    ) {
      built.link.sync();
      return built.request;
    }
    this.#built = this.#build();
    return this.#built.request;
  }

  /** Another request takes the place of the client's. */
  replace(next: Request): void {
    const before = this.open();
    if (next === before) return;
    const { request } = this.#exchange;
    const { link, tap } = this.#built!;
    link.take(next.headers);
    // A copy of a request whose method Fetch does not know says GET.
    if (next.method !== before.method && (next.method !== "GET" || FETCH_METHODS.has(before.method)))
      request.method = next.method;
    if (next.url !== before.url) {
      const target = normalizeTarget(next.url);
      if (target !== undefined) ({ path: request.path, search: request.search } = target);
    }
    if (next.body !== null) {
      const own = untouchedBody(next.body);
      if (own === undefined || own !== tap)
        request.body = new RequestBody(own ?? bodyOfStream(next.body), this.#exchange, false);
    } else if (tap !== undefined) request.body = null;
    // A copy of a request shares its body with the copied one, and would wait for it to be read as well.
    if (before.body !== null && !before.body.locked) before.body.cancel().catch(ignore);
    this.#built = undefined;
  }

  #header(name: string): string | undefined {
    const { request } = this.#exchange;
    const value = request.headers.joined(name);
    if (value !== undefined) return value;
    if (name === "host") return request.authority === "" ? undefined : request.authority;
    if (name === "content-length" && request.body?.length !== undefined) return String(request.body.length);
    return undefined;
  }

  #build(): Built {
    const { request, signal } = this.#exchange;
    const { method } = request;
    const { url } = this;
    const headers = request.headers.toHeaders();
    for (const name of ["host", "content-length"]) {
      const value = this.#header(name);
      if (value !== undefined) headers.set(name, value);
    }
    let tap: Body | undefined;
    if (request.body !== null && method !== "GET" && method !== "HEAD") {
      if (!(request.body instanceof RequestBody))
        request.body = new RequestBody(request.body, this.#exchange, false);
      tap = (request.body as RequestBody).tap();
    }
    const known = FETCH_METHODS.has(method);
    const init: RequestInit = { method: known ? method : ODD_METHOD, headers, signal };
    if (tap !== undefined) Object.assign(init, { body: openStream(tap), duplex: "half" });
    const native = newRequest(url, init);
    if (!known) Object.defineProperty(native, "method", { value: method });
    const link = new HeaderLink(native.headers, request.headers, isOurs);
    return { request: native, link, method, url, body: request.body, tap };
  }
}

Object.defineProperties(SluiceRequest.prototype, {
  raw: {
    get(this: SluiceRequest) {
      return this.open();
    },
    set(this: SluiceRequest, next: Request) {
      this.replace(next);
    },
  },
  path: {
    get(this: SluiceRequest) {
      // Only the URL is looked at.
      return getPath(this as unknown as Request);
    },
  },
});

function newRequest(url: string, init: RequestInit): Request {
  try {
    return new Request(url, init);
  } catch (cause) {
    throw new SluiceError("bad_request", "The request target is no URL.", { reason: "target", cause });
  }
}

/** Fields that the exchange keeps elsewhere. */
function isOurs(name: string): boolean {
  return name === "host" || name === "content-length" || name === "transfer-encoding";
}

function ignore(): void {}
