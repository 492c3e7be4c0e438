import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_HEADER,
  FRAME_SIZE_ERROR,
  HEADERS,
  MAX_FRAME,
  PREFACE,
  PROTOCOL_ERROR,
  RST_STREAM,
  SETTINGS,
} from "../http2/frames.ts";

/** Why a connection has to end. */
export interface Violation {
  /** Error code for GOAWAY. */
  readonly h2Code: number;
  /** Failure class for log and metrics, such as `http2.reset_flood`. */
  readonly reason: string;
  readonly message: string;
}

export interface GuardLimits {
  /** RST_STREAM frames in a burst; refilled by a twentieth of it a second. */
  readonly resets: number;
  /** Encoded bytes of one header block, CONTINUATION included. */
  readonly blockBytes: number;
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
 * Watches the frames that a client sends, before anything acts on them: every one of RST_STREAM (CVE-2023-44487),
 * CONTINUATION (CVE-2024-27316), PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA (CVE-2019-9511 to 9518)
 * is well-formed and cheap to send; only their number is an attack. Reads frame headers, skips payloads.
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
  readonly #limits: GuardLimits;
  #prefaceAt = 0;
  /** Payload bytes of the current frame that are still to come. */
  #skip = 0;
  #endsHead = false;
  readonly #partial = new Uint8Array(FRAME_HEADER);
  #partialLength = 0;
  #blockStream = 0;
  #blockBytes = 0;
  #continuations = 0;
  #resets: number;
  #resetsAt = 0;
  #idleFrames = IDLE_FRAMES;
  #idleFramesAt = 0;

  constructor(limits: GuardLimits) {
    this.#limits = limits;
    this.#resets = limits.resets;
  }

  /**
   * Looks at the next bytes. `now` is in milliseconds, above 0, and may be coarse. After a violation nothing
   * more may be read from the connection.
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
    }
    while (at < end) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, end - at);
        at += step;
        this.#skip -= step;
        if (this.#skip === 0 && this.#endsHead) this.#headDone();
        continue;
      }
      let violation: Violation | undefined;
      if (this.#partialLength === 0 && end - at >= FRAME_HEADER) {
        violation = this.#frame(chunk, at, now);
        at += FRAME_HEADER;
      } else {
        while (at < end && this.#partialLength < FRAME_HEADER) {
          this.#partial[this.#partialLength++] = chunk[at++]!;
        }
        if (this.#partialLength < FRAME_HEADER) return undefined;
        this.#partialLength = 0;
        violation = this.#frame(this.#partial, 0, now);
      }
      if (violation !== undefined) return violation;
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
    const frames = this.#idleFrames + EARNED_A_WRITE + bytes / EARNED_BYTES;
    this.#idleFrames = frames > IDLE_FRAMES ? IDLE_FRAMES : frames;
  }

  #frame(bytes: Uint8Array, at: number, now: number): Violation | undefined {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const stream =
      ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    if (length > MAX_FRAME) {
      return { h2Code: FRAME_SIZE_ERROR, reason: "http2.frame_size", message: "a frame is too long" };
    }
    this.#skip = length;
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
      this.#headFrame(flags);
      return undefined;
    }
    switch (type) {
      case HEADERS:
        if (stream > this.lastStream) this.lastStream = stream;
        this.headSince = now;
        this.#blockStream = stream;
        this.#blockBytes = length;
        this.#continuations = 0;
        this.#headFrame(flags);
        return undefined;
      case DATA:
        return length === 0 && (flags & END_STREAM) === 0 ? this.#idleFrame(now) : undefined;
      case RST_STREAM:
        this.resetsSeen++;
        return this.chargeReset(now);
      case CONTINUATION:
        return broken("continuation", "a CONTINUATION without HEADERS");
      default:
        return this.#idleFrame(now);
    }
  }

  #headFrame(flags: number): void {
    if ((flags & END_HEADERS) === 0) return;
    this.#blockStream = 0;
    if (this.#skip === 0) this.#headDone();
    else this.#endsHead = true;
  }

  #headDone(): void {
    this.#endsHead = false;
    this.headSince = 0;
  }

  #idleFrame(now: number): Violation | undefined {
    const refilled = this.#idleFrames + ((now - this.#idleFramesAt) * IDLE_FRAMES) / 10_000;
    this.#idleFrames = Math.min(IDLE_FRAMES, refilled) - 1;
    this.#idleFramesAt = now;
    return this.#idleFrames < 0 ? calm("frame_flood", "too many frames that carry nothing") : undefined;
  }
}

function calm(reason: string, message: string): Violation {
  return { h2Code: ENHANCE_YOUR_CALM, reason: `http2.${reason}`, message };
}

function broken(reason: string, message: string): Violation {
  return { h2Code: PROTOCOL_ERROR, reason: `http2.${reason}`, message };
}
