import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { BytesBody, type ConnectionFacts, ERROR_CODES, HeaderList, SluiceError } from "sluice/plugin";
import { MessageError } from "../http1/message-error.ts";
import type { Wire, WireOwner } from "../http1/wire.ts";
import {
  END_STREAM,
  ENHANCE_YOUR_CALM,
  MAX_31 as MAX_STREAM_ID,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from "../http2/frames.ts";
import { isGrpcType } from "../http2/grpc-type.ts";
import { goaway } from "./h2-frames.ts";
import { type H2Answer, resetStream } from "./h2-answer.ts";
import { type GuardedSession, type GuardLimits, H2Guard } from "./h2-guard.ts";
import { overflow, sessionFailure, type Violation } from "./h2-violations.ts";
import { rawField, readRequestHead } from "./h2-headers.ts";
import { H2Inbound, type StreamHost } from "./h2-inbound.ts";
import type { H2Shared } from "./h2-shared.ts";
import type { TakenField } from "../http2/long-strings.ts";
import { withLongFields } from "./h2-long-fields.ts";
import { H2Socket, type SocketObserver } from "./h2-socket.ts";
import type { Rejection } from "./inbound.ts";

/** Milliseconds that a closing connection may take to send its last frames and to hear the peer's FIN. */
const LINGER = 2_000;
/** Milliseconds that a client has to acknowledge the first GOAWAY before the second one goes out. */
const GOAWAY_GRACE = 1_000;
/**
 * Bytes of request bodies that a client may send ahead of the reader on one stream, and unacknowledged on all of
 * them. One number for both: this runtime opens a stream's window only once half of the connection's was used,
 * so with a smaller stream window an upload would stop for good.
 */
export const RECEIVE_WINDOW = 262_144;

/** What the connections of a server have in common while its limits stay. */
export interface SessionSettings {
  /** Makes the sessions. */
  readonly server: Http2Server;
  readonly guard: GuardLimits;
  /** SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly headerList: number;
}

/** One HTTP/2 connection: the guard before it, the session of `node:http2` behind it, its deadlines. */
export class H2Connection implements WireOwner, StreamHost, SocketObserver, GuardedSession {
  readonly shared: H2Shared;
  readonly facts: ConnectionFacts;
  cutBy: SluiceError | undefined;
  readonly #guard: H2Guard;
  readonly #socket: H2Socket;
  readonly #session: ServerHttp2Session;
  readonly #closed: (connection: H2Connection) => void;
  /** By their streams. */
  readonly #requests = new Map<number, H2Inbound>();
  /** Answers that go on when the wire has caught up. */
  #waiting: H2Answer[] = [];
  readonly #openedAt: number;
  #highest = 0;
  /** Streams and header blocks that the session was given; `#decoding` while it was given one last. */
  #opened = 0;
  #blocks = 0;
  #decoding = false;
  /** What is missing in the header block that the session is given. */
  #taken: readonly TakenField[] | undefined;
  #brokenStreams = 0;
  #idleSince: number;
  /** When the connection began to close; 0 while it lives. Nothing is read then. */
  #closingAt = 0;
  /** When the first GOAWAY of a drain left; 0 before. */
  #drainingAt = 0;
  /** The last stream that is served, once the client was told. */
  #last = Infinity;

  constructor(
    shared: H2Shared,
    { server, guard, headerList }: SessionSettings,
    wire: Wire,
    facts: ConnectionFacts,
    closed: (connection: H2Connection) => void,
  ) {
    this.shared = shared;
    this.facts = facts;
    this.#closed = closed;
    this.#openedAt = shared.now;
    this.#idleSince = shared.now;
    this.#guard = new H2Guard(guard, this);
    this.#socket = new H2Socket(wire, shared.scratch, this, headerList);
    let session: ServerHttp2Session | undefined;
    server.once("session", (opened) => {
      session = opened;
    });
    server.emit("connection", this.#socket);
    if (session === undefined) throw new Error("node:http2 made no session for a connection");
    this.#session = session;
    session.on("error", (error: Error) => this.#sessionFailed(error));
    session.on("close", () => this.#startClosing());
    session.on("stream", (stream, _headers, flags, raw) => this.#stream(stream, flags, raw));
    session.setLocalWindowSize(RECEIVE_WINDOW);
  }

  data(chunk: Uint8Array): void {
    if (this.#closingAt !== 0) return;
    const violation =
      this.#guard.inspect(chunk, this.shared.now) ?? overflow(this.#guard.windows, this.#requests);
    if (violation !== undefined && this.#closingAt === 0) this.#punish(violation);
  }

  frames(bytes: Uint8Array, taken: readonly TakenField[] | undefined): void {
    if (this.#closingAt !== 0) return;
    const { blocks, opened } = this.#guard;
    this.#decoding = blocks !== this.#blocks;
    this.#blocks = blocks;
    this.#taken = taken;
    this.#socket.emit("data", bytes);
    this.#taken = undefined;
    // The session reset what it did not hand on: malformed, above the limit of streams, or far too large.
    for (; this.#opened < opened && this.#closingAt === 0; this.#opened++) {
      const violation = this.#guard.chargeReset(this.shared.now);
      if (violation !== undefined) this.#punish(violation);
    }
    this.#finish();
  }

  whole(raw: readonly string[]): readonly string[] | undefined {
    return this.#taken === undefined ? raw : withLongFields(raw, this.#taken);
  }

  drained(): void {
    this.#socket.drained();
  }

  ended(): void {
    // A client that cannot send any more cannot open windows either: it left, or it has heard our last word.
    if (this.#socket.finished) this.#socket.release();
    else this.#socket.abort();
  }

  closed(): void {
    this.#startClosing();
    this.#socket.destroyed = true;
    this.#socket.emit("close");
    this.#closed(this);
  }

  get congested(): boolean {
    return this.#socket.congested;
  }

  awaitRoom(answer: H2Answer): void {
    this.#waiting.push(answer);
  }

  sent(bytes: number): void {
    this.#guard.earn(bytes);
  }

  roomAgain(): void {
    // Each takes its turn; who finds the connection full again queues behind the others.
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const answer of waiting) answer.resume();
  }

  streamClosed(inbound: H2Inbound, aborted: boolean): void {
    this.#requests.delete(inbound.id);
    if (this.#requests.size === 0) this.#idleSince = this.shared.now;
    this.#finish();
    if (!aborted || this.#closingAt !== 0) return;
    // More broken streams than the client reset itself: it makes us reset them (CVE-2025-8671).
    if (++this.#brokenStreams <= this.#guard.resetsSeen) return;
    const violation = this.#guard.chargeReset(this.shared.now);
    if (violation !== undefined) this.#punish(violation);
  }

  /** Enforces the deadlines; `now` as in {@link H2Shared}. */
  sweep(now: number): void {
    const limits = this.shared.limits();
    if (this.#closingAt !== 0) {
      if (now - this.#closingAt >= LINGER) this.#socket.abort();
      return;
    }
    const headSince = this.#guard.greeted ? this.#guard.headSince : this.#openedAt;
    if (headSince !== 0 && now - headSince >= limits.headerTimeout) {
      const message = "a header block came too slowly";
      this.#reject({ code: "request_timeout", reason: "timeout.head", message });
      this.#close(ENHANCE_YOUR_CALM, message);
      return;
    }
    for (const inbound of this.#requests.values()) inbound.sweep(now, limits);
    if (this.#drainingAt !== 0) {
      if (now - this.#drainingAt >= GOAWAY_GRACE) this.#nameLast();
    } else if (this.#requests.size === 0 && now - this.#idleSince >= limits.idleTimeout) {
      this.drain();
    }
  }

  /**
   * RFC 9113 §6.8: first a GOAWAY that refuses nothing, and only when the client has answered a PING the one that
   * names the last stream: a request that was on its way meanwhile is served, not lost.
   */
  drain(): void {
    if (this.#drainingAt !== 0 || this.#closingAt !== 0 || this.#session.destroyed) return;
    this.#drainingAt = this.shared.now;
    this.#session.goaway(NO_ERROR, MAX_STREAM_ID);
    this.#session.ping(() => this.#nameLast());
  }

  /** From here on no stream is served that the client has not opened yet. */
  #nameLast(): void {
    if (this.#closingAt !== 0) return;
    if (this.#last === Infinity) {
      this.#last = this.#guard.lastStream;
      this.#socket.write(goaway(this.#last, NO_ERROR));
    }
    this.#finish();
  }

  /**
   * Closes when the last stream is done. The session is not asked to: from then on it hears no trailers any more, leaves
   * streams that are opened late unanswered and open, and names them in a GOAWAY of its own (seen on Bun 1.4.5).
   */
  #finish(): void {
    if (this.#last === Infinity || this.#closingAt !== 0) return;
    // Nor is a stream done that the session has yet to hand on: it may lie behind the frame that is read now.
    if (this.#requests.size > 0 || this.#guard.headSince !== 0 || this.#opened < this.#guard.opened) return;
    this.#startClosing();
    // What the session has written, or holds back until this turn is over, leaves before the FIN.
    setImmediate(end, this.#socket);
  }

  destroy(): void {
    this.cutBy = new SluiceError("draining", ERROR_CODES.draining.meaning, { reason: "shutdown" });
    this.#socket.abort();
  }

  #stream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    stream.on("error", ignore);
    this.#opened++;
    const id = stream.id ?? 0;
    if (id <= this.#highest) {
      // RFC 9113 §5.1.1.
      this.#punish({
        h2Code: PROTOCOL_ERROR,
        reason: "http2.stream_id",
        message: "stream identifiers go back",
      });
      return;
    }
    this.#highest = id;
    if (id > this.#last) {
      this.#refuseLate(stream);
      return;
    }
    const ended = (flags & END_STREAM) !== 0;
    const fields = this.whole(raw);
    try {
      if (fields === undefined) throw new Error("node:http2 changed a header block");
      const head = readRequestHead(fields, this.shared.limits());
      this.#checkServed(head.grpc);
      const inbound = new H2Inbound(this, stream, head, ended);
      this.#requests.set(inbound.id, inbound);
      this.#handle(inbound);
    } catch (error) {
      this.#refuse(stream, fields ?? raw, ended, error);
    }
  }

  /** RFC 9113 §8.7: the client may send it again, elsewhere. Not without end: it was told (§6.8). */
  #refuseLate(stream: ServerHttp2Stream): void {
    resetStream(stream, REFUSED_STREAM, new Error("opened after the last stream was named"));
    const violation = this.#guard.chargeReset(this.shared.now);
    if (violation !== undefined) this.#punish(violation);
  }

  #handle(inbound: H2Inbound): void {
    try {
      this.shared.handler.handle(inbound);
    } catch (error) {
      this.shared.log.error({ err: error }, "the gateway threw on a request");
      inbound.abandon(error);
    }
  }

  #checkServed(grpc: boolean): void {
    const protocols = this.shared.protocols();
    if (protocols.includes(grpc ? "grpc" : "http2")) return;
    throw grpc
      ? new MessageError("not_implemented", "protocol", "gRPC is not served here")
      : new MessageError("unsupported_media_type", "protocol", "only gRPC is served here");
  }

  /** Answers a request that goes no further, in the caller's protocol. */
  #refuse(stream: ServerHttp2Stream, raw: readonly string[], ended: boolean, error: unknown): void {
    const method = rawField(raw, ":method") ?? "";
    const target = rawField(raw, ":path") ?? "";
    const grpc = isGrpcType(rawField(raw, "content-type") ?? "");
    const headers = new HeaderList();
    const head = { method, target, authority: "", headers, grpc, contentLength: undefined };
    const inbound = new H2Inbound(this, stream, { ...head, expectContinue: false }, ended);
    this.#requests.set(inbound.id, inbound);
    inbound.body?.cancel();
    try {
      if (!(error instanceof MessageError)) throw error;
      const { code, reason, message } = error;
      const answer = this.#reject({ code, reason, message, method, rawTarget: target });
      if (grpc) void inbound.respond(200, grpcRefusal(answer.headers, error), null);
      else void inbound.respond(ERROR_CODES[code].status, answer.headers, new BytesBody(answer.body));
    } catch (failure) {
      this.shared.log.error({ err: failure }, "reading a request failed");
      inbound.abandon(failure);
    }
  }

  #reject(
    what: Pick<Rejection, "code" | "reason" | "message"> & Partial<Rejection>,
  ): ReturnType<H2Shared["handler"]["rejected"]> {
    const rejection = { method: undefined, rawTarget: undefined, ...what };
    return this.shared.handler.rejected({ ...rejection, connection: this.facts, httpVersion: "2" });
  }

  #punish(violation: Violation): void {
    this.#tell(violation);
    this.#close(violation.h2Code, violation.message);
  }

  #tell({ h2Code, reason, message }: Violation): void {
    const code = h2Code === ENHANCE_YOUR_CALM ? "rate_limited" : "bad_request";
    this.#reject({ code, reason, message });
  }

  /** Says why and closes, streams and all. */
  #close(h2Code: number, message: string): void {
    if (this.#closingAt !== 0) return;
    this.#startClosing();
    this.#session.destroy(new Error(message), h2Code);
    this.#socket.write(goaway(this.#lastServed, h2Code, message));
  }

  /** The session found the connection broken, and has ended its socket without a GOAWAY. */
  #sessionFailed(error: Error & { code?: string; errno?: number }): void {
    if (this.#closingAt !== 0) return;
    this.#startClosing();
    if (error.code !== "ERR_HTTP2_ERROR" && error.code !== "ERR_HTTP2_TOO_MANY_INVALID_FRAMES") {
      // The client said GOAWAY with an error of its own, or the like.
      this.shared.log.debug({ err: error }, "an HTTP/2 session failed");
      return;
    }
    const violation = sessionFailure(error.errno, this.#decoding);
    this.#tell(violation);
    this.#socket.write(goaway(this.#lastServed, violation.h2Code));
  }

  /** For GOAWAY: a number that was named before must not go up (RFC 9113 §6.8). */
  get #lastServed(): number {
    return Math.min(this.#guard.lastStream, this.#last);
  }

  #startClosing(): void {
    if (this.#closingAt === 0) this.#closingAt = this.shared.now;
  }
}

/** Trailers-Only with a status, as gRPC over HTTP/2 has it: the answer's fields are its trailers. */
function grpcRefusal(fields: HeaderList, { code, message }: MessageError): HeaderList {
  const headers = fields.copy();
  headers.set("content-type", "application/grpc");
  headers.set("grpc-status", String(ERROR_CODES[code].grpc));
  headers.set("grpc-message", encodeURIComponent(message));
  return headers;
}

function end(socket: H2Socket): void {
  socket.end();
}
function ignore(): void {}
