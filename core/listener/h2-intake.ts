import type { ConnectionFacts } from "sluice/plugin";
import { MessageError } from "../http1/message-error.ts";
import { H2RequestHead } from "./h2-headers.ts";
import { refusalOf } from "./h2-refusal.ts";
import type { H2Shared } from "./h2-shared.ts";
import { H2Stream, type StreamHost } from "./h2-stream.ts";
import type { Rejection } from "./inbound.ts";

/** A request that was read; `error` is why it goes no further. */
interface Fresh {
  readonly stream: H2Stream;
  readonly grpc: boolean;
  readonly error: unknown;
}

/**
 * The requests of a connection until they are handed on. That is when all that came with them was read: most are whole
 * then, and those that the client takes back in the same breath cost nobody anything.
 */
export class H2Intake {
  readonly #host: StreamHost;
  readonly #shared: H2Shared;
  readonly #facts: ConnectionFacts;
  #fresh: Fresh[] = [];

  constructor(host: StreamHost) {
    this.#host = host;
    this.#shared = host.shared;
    this.#facts = host.facts;
  }

  /** A stream's first header block. @throws StreamError where it is malformed */
  read(id: number, flat: string[], flaw: string | undefined, end: boolean, sendWindow: number): H2Stream {
    const head = new H2RequestHead();
    let error: unknown;
    try {
      head.read(flat, flaw, end, this.#shared.limits());
      this.#checkServed(head.grpc);
    } catch (thrown) {
      if (!(thrown instanceof MessageError)) throw thrown;
      error = thrown;
    }
    const stream = new H2Stream(this.#host, id, head, end, sendWindow);
    this.#fresh.push({ stream, grpc: head.grpc, error });
    return stream;
  }

  /** Begins what was read, but for what is over by now. */
  handOn(open: ReadonlyMap<number, H2Stream>): void {
    const fresh = this.#fresh;
    if (fresh.length === 0) return;
    this.#fresh = [];
    for (const { stream, grpc, error } of fresh) {
      if (open.get(stream.id) !== stream) continue;
      if (error === undefined) this.#handle(stream);
      else this.#refuse(stream, grpc, error as MessageError);
    }
  }

  /** Whether nobody has heard of it yet. */
  holds(stream: H2Stream): boolean {
    return this.#fresh.some((request) => request.stream === stream);
  }

  /** Counts and logs a request, or a connection, that goes no further. */
  reject(
    what: Pick<Rejection, "code" | "reason" | "message"> & Partial<Rejection>,
  ): ReturnType<H2Shared["handler"]["rejected"]> {
    const rejection = { method: undefined, rawTarget: undefined, ...what };
    return this.#shared.handler.rejected({ ...rejection, connection: this.#facts, httpVersion: "2" });
  }

  #handle(stream: H2Stream): void {
    try {
      this.#shared.handler.handle(stream);
    } catch (error) {
      this.#shared.log.error({ err: error }, "the gateway threw on a request");
      stream.abandon(error);
    }
  }

  #checkServed(grpc: boolean): void {
    if (this.#shared.protocols().includes(grpc ? "grpc" : "http2")) return;
    throw grpc
      ? new MessageError("not_implemented", "protocol", "gRPC is not served here")
      : new MessageError("unsupported_media_type", "protocol", "only gRPC is served here");
  }

  #refuse(stream: H2Stream, grpc: boolean, error: MessageError): void {
    stream.body?.cancel();
    try {
      const { code, reason, message } = error;
      const { method, rawTarget } = stream;
      const worded = this.reject({ code, reason, message, method, rawTarget });
      const { status, headers, body } = refusalOf(error, grpc, worded);
      void stream.respond(status, headers, body);
    } catch (failure) {
      this.#shared.log.error({ err: failure }, "the gateway failed to refuse a request");
      stream.abandon(failure);
    }
  }
}
