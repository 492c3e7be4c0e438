import type { Clock } from "sluice/plugin";
import type { PoolConfig } from "../../config/types.ts";
import type { Call, CallRunner } from "./call.ts";
import { abandoned, openingFailed, overflow, timedOut } from "./failures.ts";
import { sweepWith } from "./pool-sweep.ts";

/** A connection as its pool sees it. What happens to it, it tells the {@link Pool}. */
export interface PooledConnection {
  /** Requests under way. */
  readonly active: number;
  /** Whether it takes one more request now. */
  readonly available: boolean;
  /** Milliseconds that it may stay unused; the peer may have asked for less than the pool's own. */
  readonly idleLimit: number;
  /** Sends one more request; only while `available`. */
  start(call: Call): void;
  /** Looks at the deadlines of its requests; `now` is monotonic. */
  sweep(now: number): void;
  /** Opening took too long: gives up where the platform lets go of it. */
  giveUp(): void;
  /** It is old: no new request, and it closes behind the last of those under way. Only while there are any. */
  retire(): void;
  /** Closes an unused connection. */
  close(): void;
  /** The pool's own notes. */
  readonly pooled: PoolNotes;
}

/** What a pool keeps on each of its connections. */
export class PoolNotes {
  /** In the order of coming to stand; 0 before that. */
  serial = 0;
  /** Connecting, and somebody counts on it. */
  opening = true;
  openDeadline = Infinity;
  /** In the list of those that take a request. */
  listed = false;
  /** Monotonic milliseconds since which it is unused. */
  idleSince = 0;
  /** Monotonic milliseconds from which on it is too old. */
  oldAt = Infinity;
}

/** Into how many ages the connections of a target are spread. */
const SPREAD = 16;

export interface PoolOptions {
  readonly config: PoolConfig;
  readonly clock: Clock;
  /** Begins to connect. Reports by `opened` or `failed`, later and not during the call. */
  readonly connect: (pool: Pool) => PooledConnection;
  /** Requests that one connection carries at a time. */
  readonly perConnection: number;
}

/**
 * The connections to one target. The most recently used is used next, so that those beyond need grow old and
 * are closed. A request that finds none waits in order; who comes first to stand or to be free takes it,
 * whichever connection it was that was opened for it.
 */
export class Pool implements CallRunner {
  /** Requests that a connection carries at a time, as far as is known. */
  perConnection: number;
  readonly #config: PoolConfig;
  readonly #clock: Clock;
  readonly #connect: (pool: Pool) => PooledConnection;
  readonly #all = new Set<PooledConnection>();
  /** Those that finish what they carry and take no more; they count no longer. */
  readonly #retired = new Set<PooledConnection>();
  /** Those that take a request; the last is used next. */
  readonly #available: PooledConnection[] = [];
  readonly #waiting = new Set<Call>();
  #opening = 0;
  #serial = 0;
  #latestDeadline = 0;
  #closing = false;
  #stopSweep: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#connect = options.connect;
    this.perConnection = options.perConnection;
  }

  get connections(): { readonly open: number; readonly idle: number } {
    let open = 0;
    let idle = 0;
    for (const connection of this.#all) {
      if (connection.pooled.serial === 0) continue;
      open++;
      if (connection.active === 0) idle++;
    }
    return { open: open + this.#retired.size, idle };
  }

  /** Puts a call on a connection, or in the queue for one. */
  dispatch(call: Call): void {
    call.runner = this;
    const available = this.#available;
    const last = available.at(-1);
    if (last !== undefined && last.pooled.serial >= call.minSerial) {
      available.pop();
      last.pooled.listed = false;
      last.start(call);
      this.#list(last);
      return;
    }
    this.#wait(call);
  }

  /**
   * Puts a call on a connection that came to stand after now: the one it was on turned out dead, and what is
   * as old may be, too. @returns false where it was tried again `most` times already
   */
  retry(call: Call, most = 1): boolean {
    if (call.retries >= most) return false;
    call.retries++;
    call.minSerial = this.#serial + 1;
    call.request.progress.sent = false;
    call.request.progress.reused = false;
    call.request.progress.finished = false;
    call.request.resent?.();
    if (this.#all.size >= this.#config.maxConnections) {
      const unused = this.#available.find((connection) => connection.active === 0);
      if (unused !== undefined) this.#drop(unused);
      // With all of them busy, the one that is freed next has just proved that it lives.
      else call.minSerial = 0;
    }
    this.dispatch(call);
    return true;
  }

  /** `connection` stands and takes requests. */
  opened(connection: PooledConnection): void {
    this.#expected(connection);
    const serial = (connection.pooled.serial = ++this.#serial);
    const { maxAge } = this.#config;
    // What was opened together does not end together.
    if (maxAge !== undefined)
      connection.pooled.oldAt = this.#clock.monotonic() + maxAge * (1 - (serial % SPREAD) / (SPREAD * 10));
    this.freed(connection);
    this.#fill();
  }

  /** `connection` came to nothing. The requests that counted on it fail with `error`, the oldest first. */
  failed(connection: PooledConnection, error: unknown): void {
    const counted = this.#expected(connection);
    this.#all.delete(connection);
    if (counted) this.#refuse(error);
    this.#fill();
  }

  /** A request of `connection` ended, or the number of them that it takes has changed. */
  freed(connection: PooledConnection): void {
    for (const call of this.#waiting) {
      if (!connection.available) break;
      if (connection.pooled.serial < call.minSerial) continue;
      this.#waiting.delete(call);
      connection.start(call);
    }
    if (connection.active === 0) {
      if (this.#closing) {
        this.#drop(connection);
        return;
      }
      connection.pooled.idleSince = this.#clock.monotonic();
    }
    if (connection.available) this.#list(connection);
    else this.#unlist(connection);
  }

  /** `connection` takes no more requests, though some may be under way on it. */
  retired(connection: PooledConnection): void {
    this.closed(connection);
    this.#retired.add(connection);
  }

  /** `connection` is gone. */
  closed(connection: PooledConnection): void {
    this.#unlist(connection);
    this.#retired.delete(connection);
    if (this.#all.delete(connection)) this.#fill();
  }

  /** A call that waits was given up. */
  cancel(call: Call, reason: unknown): void {
    this.#waiting.delete(call);
    call.fail(abandoned(reason));
  }

  /** Closes what is unused, now and from now on; what runs or waits goes on. */
  close(): void {
    this.#closing = true;
    for (const connection of [...this.#available]) if (connection.active === 0) this.#drop(connection);
  }

  #wait(call: Call): void {
    const waiting = this.#waiting;
    const again = call.retries > 0;
    if (
      !again &&
      this.#all.size >= this.#config.maxConnections &&
      waiting.size - this.#opening * this.perConnection >= this.#config.maxPending
    ) {
      call.fail(overflow());
      return;
    }
    const timeout = call.request.timeouts.connect;
    call.waitDeadline = timeout === undefined ? Infinity : this.#clock.monotonic() + timeout;
    this.#latestDeadline = Math.max(this.#latestDeadline, call.waitDeadline);
    waiting.add(call);
    if (again) this.#advance();
    this.#stopSweep ??= sweepWith(this.#clock, () => this.#sweep());
    this.#fill();
  }

  /** Who had a turn before waits ahead of those that had none. */
  #advance(): void {
    const waiting = this.#waiting;
    for (const call of [...waiting]) {
      if (call.retries > 0) continue;
      waiting.delete(call);
      waiting.add(call);
    }
  }

  /** Opens as many connections as the waiting requests lack, within the bound. */
  #fill(): void {
    while (
      this.#waiting.size > this.#opening * this.perConnection &&
      this.#all.size < this.#config.maxConnections
    ) {
      let connection: PooledConnection;
      try {
        connection = this.#connect(this);
      } catch (error) {
        // An option that the platform does not take; it will not take it the next time either.
        this.#refuse(openingFailed(error));
        continue;
      }
      // That of the youngest: an older one's must not cut the attempt short.
      connection.pooled.openDeadline = this.#latestDeadline;
      this.#opening++;
      this.#all.add(connection);
    }
  }

  /** Fails as many waiting requests as counted on one connection, the oldest first. */
  #refuse(error: unknown): void {
    let failing = this.perConnection;
    for (const call of this.#waiting) {
      if (failing-- <= 0) break;
      this.#waiting.delete(call);
      call.fail(error);
    }
  }

  /** Nobody counts on `connection` as one that opens any more. @returns whether somebody did */
  #expected(connection: PooledConnection): boolean {
    const counted = connection.pooled.opening;
    connection.pooled.opening = false;
    if (counted) this.#opening--;
    return counted;
  }

  /** Whether some connection has yet to stand: what a request waits for then is the upstream, not its turn. */
  #connecting(): boolean {
    for (const connection of this.#all) if (connection.pooled.serial === 0) return true;
    return false;
  }

  #list(connection: PooledConnection): void {
    if (connection.pooled.listed || !connection.available) return;
    connection.pooled.listed = true;
    this.#available.push(connection);
  }

  #unlist(connection: PooledConnection): void {
    if (!connection.pooled.listed) return;
    connection.pooled.listed = false;
    this.#available.splice(this.#available.lastIndexOf(connection), 1);
  }

  #drop(connection: PooledConnection): void {
    this.#unlist(connection);
    this.#all.delete(connection);
    connection.close();
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const call of this.#waiting) {
      if (now < call.waitDeadline) continue;
      this.#waiting.delete(call);
      call.fail(this.#connecting() ? timedOut("connect") : overflow());
    }
    for (const connection of this.#all) {
      const notes = connection.pooled;
      if (notes.serial === 0) {
        if (!notes.opening || now < notes.openDeadline) continue;
        this.#expected(connection);
        connection.giveUp();
        continue;
      }
      connection.sweep(now);
      if (connection.active > 0) {
        if (now < notes.oldAt) continue;
        notes.oldAt = Infinity;
        connection.retire();
        continue;
      }
      if (
        now >= notes.oldAt ||
        now - notes.idleSince >= Math.min(connection.idleLimit, this.#config.idleTimeout)
      ) {
        this.#drop(connection);
      }
    }
    for (const connection of this.#retired) connection.sweep(now);
    this.#fill();
    if (this.#all.size + this.#retired.size + this.#waiting.size === 0) {
      this.#stopSweep?.();
      this.#stopSweep = undefined;
    }
  }
}
