import {
  ACK,
  COMPRESSION_ERROR,
  ConnectionError,
  CONTINUATION,
  DATA,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FLOW_CONTROL_ERROR,
  FRAME_HEADER,
  HAS_PRIORITY,
  HEADERS,
  MAX_31,
  MAX_FRAME,
  OutBuffer,
  PADDED,
  PREFACE,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../http2/frames.ts";
import type { TakenField } from "../http2/long-strings.ts";
import { mayHoldLongStrings, withoutLongFields } from "./h2-long-fields.ts";
import {
  badSetting,
  breach,
  broken,
  calm,
  misplaced,
  missized,
  u32,
  type Violation,
  type WindowChange,
} from "./h2-violations.ts";

export interface GuardLimits {
  /** RST_STREAM frames in a burst; refilled by a twentieth of it a second. */
  readonly resets: number;
  /** Encoded bytes of one header block, CONTINUATION included. */
  readonly blockBytes: number;
}

/** Who acts on the frames that passed. */
export interface GuardedSession {
  /**
   * The next bytes. They may be a view of what was given to `inspect`.
   * @param taken what is missing in them, where they are a header block with stand-ins
   */
  frames(bytes: Uint8Array, taken: readonly TakenField[] | undefined): void;
}

/** Frames in a burst that cost us work and bring a request no further; refilled by a tenth of it a second. */
const IDLE_FRAMES = 1_000;
/** Idle frames that one write of ours pays for: a reader acknowledges with WINDOW_UPDATE, and pings to measure. */
const EARNED_A_WRITE = 4;
const EARNED_BYTES = 2_048;
/** CONTINUATION frames that any header block may have; beyond them one for this many bytes of the limit. */
const CONTINUATIONS = 8;
const CONTINUATION_BYTES = 4_096;

/**
 * Watches the frames that a client sends, before anything acts on them. What breaks RFC 9113 for the whole
 * connection is found here. So are floods: every one of RST_STREAM (CVE-2023-44487), CONTINUATION (CVE-2024-27316),
 * PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA (CVE-2019-9511 to 9518) is well-formed and cheap to send;
 * only their number is an attack.
 *
 * Frames pass on whole, header blocks with all of their frames; of DATA only the frame's header is waited for. What
 * came in one piece stays one.
 */
export class H2Guard {
  /** The highest stream that the client opened; GOAWAY names it. */
  lastStream = 0;
  /** When the header block that is being read began; 0 where none is. */
  headSince = 0;
  /** True once the client's first SETTINGS came: until then it has said nothing. */
  greeted = false;
  /** RST_STREAM frames so far. */
  resetsSeen = 0;
  /** Streams whose header block passed on. */
  opened = 0;
  /** Header blocks that passed on, trailers included. */
  blocks = 0;
  /** What was said of the windows of streams; who looks at it empties it. See `overflow`. */
  readonly windows: WindowChange[] = [];
  readonly #limits: GuardLimits;
  readonly #session: GuardedSession;
  #prefaceAt = 0;
  // The unit that is being read: a frame, or a header block.
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** Payload bytes that are still to come before it passes on. */
  #left = 0;
  /** Payload bytes of DATA that are still to come; nobody here looks at them. */
  #skip = 0;
  /** What came of it in earlier pieces. */
  #held: OutBuffer | undefined;
  readonly #partial = new Uint8Array(FRAME_HEADER);
  #partialLength = 0;
  /** The stream of a header block that goes on in CONTINUATION; 0 where none does. */
  #blockStream = 0;
  #blockBytes = 0;
  #continuations = 0;
  #opens = false;
  #resets: number;
  #resetsAt = 0;
  #idleFrames = IDLE_FRAMES;
  #idleFramesAt = 0;
  /** What the connection's window to the client would be had we sent nothing, and what we sent. */
  #granted = DEFAULT_WINDOW;
  #sent = 0;

  constructor(limits: GuardLimits, session: GuardedSession) {
    this.#limits = limits;
    this.#session = session;
    this.#resets = limits.resets;
  }

  /**
   * Looks at the next bytes and passes on what is in order. `now` is in milliseconds, above 0, and may be coarse.
   * After a violation nothing more may be read from the connection.
   */
  inspect(chunk: Uint8Array, now: number): Violation | undefined {
    const end = chunk.byteLength;
    let at = 0;
    if (this.#prefaceAt < PREFACE.byteLength) {
      while (at < end && this.#prefaceAt < PREFACE.byteLength) {
        if (chunk[at] !== PREFACE[this.#prefaceAt]) return broken("preface", "not an HTTP/2 preface");
        at++;
        this.#prefaceAt++;
      }
      if (this.#prefaceAt < PREFACE.byteLength) return undefined;
      // Alone: our SETTINGS leave with it, and so before a GOAWAY (RFC 9113 §3.4).
      this.#session.frames(PREFACE, undefined);
    }
    let passed = at;
    // Where the unit begins; what is held of it comes before.
    let unit = at;
    while (at < end) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, end - at);
        at += step;
        this.#left -= step;
        if (this.#left > 0) break;
      } else if (this.#skip > 0) {
        const step = Math.min(this.#skip, end - at);
        at += step;
        this.#skip -= step;
        unit = at;
        continue;
      } else {
        let violation: Violation | undefined;
        if (this.#partialLength === 0 && end - at >= FRAME_HEADER) {
          violation = this.#frame(chunk, at, now);
          at += FRAME_HEADER;
        } else {
          while (at < end && this.#partialLength < FRAME_HEADER) {
            this.#partial[this.#partialLength++] = chunk[at++]!;
          }
          if (this.#partialLength < FRAME_HEADER) break;
          this.#partialLength = 0;
          violation = this.#frame(this.#partial, 0, now);
        }
        if (violation !== undefined) return violation;
        if (this.#left > 0) continue;
      }
      if (this.#blockStream !== 0) continue;

      const held = this.#held;
      const long = this.#type === HEADERS && mayHoldLongStrings(at - unit + (held?.end ?? 0));
      let violation: Violation | undefined;
      if (held === undefined && !long) {
        violation = this.#unit(chunk, unit);
      } else {
        if (unit > passed) this.#session.frames(chunk.subarray(passed, unit), undefined);
        const bytes = this.#join(chunk.subarray(unit, at));
        violation = this.#unit(bytes, 0) ?? this.#pass(bytes, long);
        passed = at;
      }
      if (violation !== undefined) return violation;
      unit = at;
    }
    if (unit < end) {
      if (unit > passed) this.#session.frames(chunk.subarray(passed, unit), undefined);
      this.#held ??= new OutBuffer(256);
      this.#held.append(chunk.subarray(unit));
    } else if (passed < end) {
      this.#session.frames(passed === 0 ? chunk : chunk.subarray(passed), undefined);
    }
    return undefined;
  }

  /** Counts a stream that a client made us reset by breaking the protocol on it (CVE-2025-8671). */
  chargeReset(now: number): Violation | undefined {
    const rate = this.#limits.resets / 20_000;
    this.#resets = Math.min(this.#limits.resets, this.#resets + (now - this.#resetsAt) * rate) - 1;
    this.#resetsAt = now;
    return this.#resets < 0 ? calm("reset_flood", "too many streams were reset") : undefined;
  }

  /** `bytes` left for the client, in one write. */
  earn(bytes: number): void {
    this.#sent += bytes;
    const frames = this.#idleFrames + EARNED_A_WRITE + bytes / EARNED_BYTES;
    this.#idleFrames = frames > IDLE_FRAMES ? IDLE_FRAMES : frames;
  }

  /** A frame's header. Says with `#left` how much of it has to come before it passes on. */
  #frame(bytes: Uint8Array, at: number, now: number): Violation | undefined {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const stream =
      ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    if (length > MAX_FRAME) return missized("a frame is too long");
    this.#left = length;
    if (!this.greeted) {
      if (type !== SETTINGS || (flags & ACK) !== 0)
        return broken("preface", "the first frame is not SETTINGS");
      this.greeted = true;
    }
    if (this.#blockStream !== 0) {
      // RFC 9113 §6.10: nothing may stand between the frames of a header block.
      if (type !== CONTINUATION || stream !== this.#blockStream) {
        return broken("continuation", "a header block is interrupted");
      }
      this.#blockBytes += length;
      this.#continuations++;
      const most = CONTINUATIONS + this.#limits.blockBytes / CONTINUATION_BYTES;
      if (this.#blockBytes > this.#limits.blockBytes || this.#continuations > most) {
        return calm("continuation_flood", "a header block without end");
      }
      if ((flags & END_HEADERS) !== 0) this.#blockStream = 0;
      return undefined;
    }
    this.#type = type;
    this.#flags = flags;
    this.#stream = stream;
    switch (type) {
      case HEADERS:
        if ((stream & 1) === 0) return broken("stream_id", "a stream that no client opens");
        this.#opens = stream > this.lastStream;
        if (this.#opens) this.lastStream = stream;
        this.headSince = now;
        this.#blockBytes = length;
        this.#continuations = 0;
        this.#blockStream = (flags & END_HEADERS) !== 0 ? 0 : stream;
        return undefined;
      case DATA:
        if (this.#isIdle(stream)) return broken("idle_stream", "DATA on an idle stream");
        if ((flags & PADDED) !== 0 && length === 0) return missized("DATA without its padding's length");
        this.#left = (flags & PADDED) !== 0 ? 1 : 0;
        this.#skip = length - this.#left;
        return length === 0 && (flags & END_STREAM) === 0 ? this.#idleFrame(now) : undefined;
      case RST_STREAM:
        if (this.#isIdle(stream)) return broken("idle_stream", "RST_STREAM on an idle stream");
        if (length !== 4) return missized("RST_STREAM of the wrong size");
        this.resetsSeen++;
        return this.chargeReset(now);
      case CONTINUATION:
        return broken("continuation", "a CONTINUATION without HEADERS");
      case PUSH_PROMISE:
        return broken("push", "clients do not push");
      default:
        return misplaced(type, flags, stream, length) ?? this.#controlFrame(type, stream, now);
    }
  }

  #controlFrame(type: number, stream: number, now: number): Violation | undefined {
    if (type === WINDOW_UPDATE && stream !== 0 && this.#isIdle(stream)) {
      return broken("idle_stream", "WINDOW_UPDATE on an idle stream");
    }
    return this.#idleFrame(now);
  }

  /** RFC 9113 §5.1. Stream 0 is none; we open no streams of our own. */
  #isIdle(stream: number): boolean {
    return (stream & 1) === 0 || stream > this.lastStream;
  }

  /** A unit is complete: `bytes` from `at`, as far as it is waited for. */
  #unit(bytes: Uint8Array, at: number): Violation | undefined {
    const payload = at + FRAME_HEADER;
    switch (this.#type) {
      case HEADERS: {
        this.headSince = 0;
        const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
        const priority = (this.#flags & HAS_PRIORITY) === 0 ? 0 : 5;
        const padding = (this.#flags & PADDED) === 0 ? 0 : 1 + (length > 0 ? bytes[payload]! : 0);
        if (priority + padding > length) return broken("padding", "more padding than frame");
        this.blocks++;
        if (this.#opens) this.opened++;
        return undefined;
      }
      case DATA:
        // The padding's length itself is one of the frame's bytes.
        return (this.#flags & PADDED) !== 0 && bytes[payload]! > this.#skip
          ? broken("padding", "more padding than frame")
          : undefined;
      case SETTINGS:
        return badSetting(bytes, payload, (bytes[at + 1]! << 8) | bytes[at + 2]!, this.windows);
      case WINDOW_UPDATE:
        return this.#windowUpdate(u32(bytes, payload) & MAX_31);
      default:
        return undefined;
    }
  }

  /** RFC 9113 §6.9.1. */
  #windowUpdate(increment: number): Violation | undefined {
    if (this.#stream !== 0) {
      // The session finds those that are 0 or too large: they are that stream's error alone.
      this.windows.push({ stream: this.#stream, value: increment });
      return undefined;
    }
    if (increment === 0) return broken("window", "WINDOW_UPDATE by nothing");
    this.#granted += increment;
    return this.#granted - this.#sent > MAX_31
      ? breach(FLOW_CONTROL_ERROR, "window", "the connection's window overflows")
      : undefined;
  }

  /** All of a unit, of which `last` is the end: memory of its own, since the session may keep it. */
  #join(last: Uint8Array): Buffer {
    const held = this.#held;
    if (held === undefined) return Buffer.from(last);
    held.append(last);
    const bytes = Buffer.from(held.bytes.subarray(0, held.end));
    this.#held = undefined;
    return bytes;
  }

  #pass(bytes: Buffer, long: boolean): Violation | undefined {
    try {
      const short = long ? withoutLongFields(bytes) : undefined;
      this.#session.frames(short?.bytes ?? bytes, short?.taken);
      return undefined;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      return breach(COMPRESSION_ERROR, "hpack", "a header block that makes no sense");
    }
  }

  #idleFrame(now: number): Violation | undefined {
    const refilled = this.#idleFrames + ((now - this.#idleFramesAt) * IDLE_FRAMES) / 10_000;
    this.#idleFrames = Math.min(IDLE_FRAMES, refilled) - 1;
    this.#idleFramesAt = now;
    return this.#idleFrames < 0 ? calm("frame_flood", "too many frames that carry nothing") : undefined;
  }
}
