import type { Clock } from "sluice/plugin";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:http2";
import type { Socket } from "node:net";
import type { Call } from "./call.ts";
import { openingFailed } from "./failures.ts";
import { Http2Stream } from "./http2-stream.ts";
import { type Pool, type PooledConnection, PoolNotes } from "./pool.ts";

/** Streams on one connection at most, also where the peer allows more. */
const MAX_STREAMS = 512;

/** Bytes that a peer may send before we say go on: a stream's, and a connection's over all its streams. */
const STREAM_WINDOW = 1_048_576;
const CONNECTION_WINDOW = 16_777_216;

/** Between two probes of a silent connection, in milliseconds: a peer that vanished is noticed. */
const TCP_KEEPALIVE = 30_000;

/** How long the answer to a PING may take on a connection under suspicion, in milliseconds. */
const PING_WAIT = 5_000;

const SESSION = {
  settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
  // What a client repeats is the upstream's to judge.
  strictSingleValueFields: false,
};

/**
 * One HTTP/2 connection to an upstream. It counts as standing once the peer's SETTINGS are in (RFC 9113 §3.4):
 * only then is the number of streams known, and whoever does not speak HTTP/2 is found out before a request is
 * at stake.
 */
export class Http2Connection implements PooledConnection {
  readonly pooled = new PoolNotes();
  readonly idleLimit = Infinity;
  readonly clock: Clock;
  readonly #pool: Pool;
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;
  readonly #streams = new Set<Http2Stream>();
  #state: "opening" | "open" | "draining" | "closed" = "opening";
  #limit = 0;
  #used = false;
  #cause: unknown;
  /** Monotonic milliseconds by which the peer must have answered a PING. */
  #pingDeadline = Infinity;

  /** @param socket connecting, or connected; TLS with the ALPN protocol `h2` */
  constructor(pool: Pool, clock: Clock, socket: Socket) {
    this.#pool = pool;
    this.clock = clock;
    this.#socket = socket;
    // The name is of no use: every request says its own scheme and authority.
    const session = connect("http://upstream.invalid", { ...SESSION, createConnection: () => socket });
    this.#session = session;
    session.on("connect", () => {
      if (session.destroyed) return;
      session.setLocalWindowSize(CONNECTION_WINDOW);
      socket.setKeepAlive(true, TCP_KEEPALIVE);
    });
    session.on("remoteSettings", (settings) => this.#settingsCame(settings.maxConcurrentStreams));
    session.on("goaway", () => this.#drain());
    session.on("error", (error) => this.#failed(error));
    session.on("close", () => this.#closed());
  }

  get active(): number {
    return this.#streams.size;
  }

  get available(): boolean {
    return this.#state === "open" && this.#streams.size < this.#limit;
  }

  /** Whether the session takes streams, as far as it knows. */
  get standing(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  start(call: Call): void {
    call.request.progress.reused = this.#used;
    this.#used = true;
    const stream = new Http2Stream(this, call);
    this.#streams.add(stream);
    stream.begin();
  }

  sweep(now: number): void {
    for (const stream of this.#streams) stream.sweep(now);
    if (now >= this.#pingDeadline) this.#end();
  }

  giveUp(): void {
    this.#end();
  }

  close(): void {
    this.#state = "closed";
    this.#session.close();
  }

  // For its streams.

  /** Opens a stream. @throws where the session takes none any more */
  open(headers: string[], options: { endStream: boolean; waitForTrailers?: boolean }): ClientHttp2Stream {
    // The runtime takes the flat list, which keeps the fields' order; its types do not know it yet.
    return this.#session.request(headers as unknown as OutgoingHttpHeaders, options);
  }

  /** Puts a call that was not processed on a connection that came to stand later. */
  retry(call: Call): boolean {
    return this.#pool.retry(call);
  }

  /** `stream` is over. */
  ended(stream: Http2Stream): void {
    if (!this.#streams.delete(stream)) return;
    if (this.#state === "open") this.#pool.freed(this);
  }

  /** An answer is overdue: is there still anybody? */
  probe(): void {
    if (this.#pingDeadline !== Infinity || this.#state === "closed") return;
    this.#pingDeadline = this.clock.monotonic() + PING_WAIT;
    this.#session.ping((error) => {
      if (error === null) this.#pingDeadline = Infinity;
    });
  }

  #settingsCame(maxStreams: number | undefined): void {
    if (this.#state !== "opening" && this.#state !== "open") return;
    this.#limit = Math.min(maxStreams ?? MAX_STREAMS, MAX_STREAMS);
    // A peer that takes nothing yet says so with 0 and may change its mind.
    if (this.#limit === 0) return;
    this.#pool.perConnection = this.#limit;
    if (this.#state === "open") {
      this.#pool.freed(this);
      return;
    }
    this.#state = "open";
    this.#pool.opened(this);
  }

  /** No new streams; those under way go on (RFC 9113 §6.8). */
  #drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#pool.retired(this);
  }

  #failed(error: unknown): void {
    this.#cause ??= error;
    // The session may go on after it (a peer whose ALPN is not h2): it must not.
    if (this.#state === "opening") this.#session.destroy();
  }

  #closed(): void {
    const state = this.#state;
    this.#state = "closed";
    this.#socket.destroy();
    if (state === "opening") this.#pool.failed(this, openingFailed(this.#cause));
    else this.#pool.closed(this);
    for (const stream of this.#streams) stream.connectionLost(this.#cause);
  }

  #end(): void {
    this.#state = "closed";
    this.#pool.closed(this);
    this.#session.destroy();
    this.#socket.destroy();
  }
}
