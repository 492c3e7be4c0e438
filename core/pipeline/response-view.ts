import {
  type Body,
  BytesBody,
  ERROR_CODES,
  type ExchangeResponse,
  HeaderList,
  SluiceError,
  StreamBody,
} from "sluice/plugin";
import { bodyOfStream, openStream, sealStream, untouchedBody } from "./body-stream.ts";
import { flatten, HeaderLink, replaceField } from "./linked-headers.ts";

/**
 * Stands in a `Response` for a status that the class does not take; the true one is an own property. As everywhere
 * with Fetch, such a `Response` cannot be the init of another.
 */
const ODD_STATUS = 599;

/** Where a `Response` keeps the body that {@link withKnownBody} was told of. */
const KNOWN: unique symbol = Symbol("body");

type MarkedResponse = Response & { [KNOWN]?: string | Uint8Array };

const encoder = new TextEncoder();

/**
 * An answer as a plugin sees it: a native `Response` whose changes flow back into the {@link ExchangeResponse}. The body
 * is a stream that reads nothing until the plugin does; as long as it does not, the answer keeps its own body with
 * length and trailers.
 */
export class ResponseView {
  readonly answer: ExchangeResponse;
  /** The answer's body before anybody looked. */
  readonly source: Body | null;
  readonly #native: Response;
  readonly #link: HeaderLink;
  /** The native body that the answer's stands for; undefined where the bytes themselves are known. */
  #stream: ReadableStream<Uint8Array> | null | undefined;
  /** The answer's body when both sides last agreed. */
  #body: Body | null;
  /** Whether that body reads from the stream, rather than the stream from it. */
  #derived: boolean;
  readonly #status: number;

  private constructor(
    answer: ExchangeResponse,
    native: Response,
    link: HeaderLink,
    stream: ReadableStream<Uint8Array> | null | undefined,
    derived: boolean,
  ) {
    this.answer = answer;
    this.source = answer.body;
    this.#native = native;
    this.#link = link;
    this.#stream = stream;
    this.#body = answer.body;
    this.#derived = derived;
    this.#status = answer.status;
  }

  /** A `Response` for an answer that stands already. */
  static of(answer: ExchangeResponse): ResponseView {
    const { status, body } = answer;
    const stream = body === null || isBodyless(status) ? null : openStream(body);
    const odd = isOdd(status);
    const native = new Response(stream, { status: odd ? ODD_STATUS : status });
    if (odd) Object.defineProperty(native, "status", { value: status });
    const { headers } = native;
    const { flat } = answer.headers;
    for (let i = 0; i < flat.length; i += 2) headers.append(flat[i]!, flat[i + 1]!);
    if (body?.length !== undefined && !answer.headers.has("content-length"))
      headers.append("content-length", String(body.length));
    return new ResponseView(
      answer,
      native,
      new HeaderLink(headers, answer.headers, isFraming),
      stream,
      false,
    );
  }

  /**
   * The answer that a plugin's `Response` is.
   *
   * @param before what it takes the place of. The headers of that, `content-type` aside, stand over those of
   * `native`, as Hono's setter of `c.res` has it; its trailers end a body that was made of its own.
   * @throws SluiceError `plugin_failed` where the body was read already, and for `Response.error()`.
   */
  static adopt(native: Response, before?: ExchangeResponse): ResponseView {
    const { status } = native;
    if (status === 0) throw notSendable("is Response.error()");
    const known = (native as MarkedResponse)[KNOWN];
    const stream = known === undefined ? native.body : undefined;
    if (stream !== undefined && isRead(native)) throw notSendable("was read already");

    const headers = new HeaderList(flatten(native.headers));
    const link = new HeaderLink(native.headers, headers, isFraming);
    if (before !== undefined) inherit(headers, before.headers);
    headers.delete("transfer-encoding");
    if (stream !== null) headers.delete("content-length");

    let body: Body | null = null;
    if (known !== undefined) body = new BytesBody(typeof known === "string" ? encoder.encode(known) : known);
    // What a 101 leads to is no body to Fetch; a step that made a new `Response` of it has not taken it away.
    else if (stream === null && status === 101 && before?.status === 101) body = before.body;
    else if (stream) body = untouchedBody(stream) ?? bodyOfStream(stream, before?.body ?? undefined);
    const derived = body instanceof StreamBody;
    if (body !== null && before === undefined && !headers.has("content-type") && mayBeText(native, known))
      headers.append("content-type", "text/plain;charset=UTF-8");
    // The same status over another body is an upstream's answer that was worked on (compressed, rewritten).
    const source = before?.source === "upstream" && before.status === status ? "upstream" : "gateway";
    return new ResponseView({ status, headers, body, source }, native, link, stream, derived);
  }

  /** Whether the answer still is what the view shows, headers aside. */
  get fits(): boolean {
    return this.answer.body === this.#body && this.answer.status === this.#status;
  }

  /** Whether the body is being read through the view, or was. */
  get isRead(): boolean {
    return isRead(this.#native);
  }

  isOf(response: Response): boolean {
    return response === this.#native;
  }

  /** The `Response` to hand out, in step with the answer. */
  get response(): Response {
    this.#link.sync();
    return this.#native;
  }

  /** Brings the answer's body up to what the plugin made of the `Response`'s. */
  settle(): void {
    if (this.#stream === undefined || this.#stream === null || !this.fits) return;
    // `c.res.clone()` puts another stream in the place of the native body.
    const current = this.#native.body;
    if (current === null || (current === this.#stream && (this.#derived || untouchedBody(current)))) return;
    this.#stream = current;
    this.#derived = true;
    this.#body = bodyOfStream(current, this.#body ?? undefined);
    this.answer.body = this.#body;
    this.answer.headers.delete("content-length");
  }

  /** Nobody looks through the view any more. @throws SluiceError `plugin_failed` where the body is used up. */
  close(): void {
    this.settle();
    if (this.#stream === undefined || this.#stream === null || !this.fits) return;
    if (isRead(this.#native)) throw notSendable("was read already");
    sealStream(this.#stream);
  }
}

/** Notes on a `Response` what its body is, so that nobody has to read it to know its length. */
export function withKnownBody(response: Response, body: string | Uint8Array): Response {
  (response as MarkedResponse)[KNOWN] = body;
  return response;
}

/** RFC 9110 §6.4.1, and RFC 9110 §15.3.6 for 205: a `Response` of these statuses takes no body. */
export function isBodyless(status: number): boolean {
  return status === 204 || status === 304 || status === 205 || status < 200;
}

/**
 * Fetch gives a body of text its type ("extract a body"); this runtime does not until it serves the `Response`
 * itself, and a refusal without a type may be taken for HTML. An answer from the network keeps what it has.
 */
function mayBeText(native: Response, known: string | Uint8Array | undefined): boolean {
  return native.url === "" && !(known instanceof Uint8Array);
}

function inherit(headers: HeaderList, from: HeaderList): void {
  for (const name of new Set(from.flat.filter((_, i) => i % 2 === 0)))
    if (name !== "content-type" && !isFraming(name)) replaceField(headers, name, from.flat);
}

function isRead(response: Response): boolean {
  return response.bodyUsed || response.body?.locked === true;
}

function isOdd(status: number): boolean {
  return (status < 200 || status > 599) && status !== 101;
}

function isFraming(name: string): boolean {
  return name === "content-length" || name === "transfer-encoding";
}

function notSendable(what: string): SluiceError {
  return new SluiceError("plugin_failed", ERROR_CODES.plugin_failed.meaning, {
    reason: "response_body",
    cause: new TypeError(`the response that a plugin gave ${what}`),
  });
}
