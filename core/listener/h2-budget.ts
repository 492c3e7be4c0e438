import { ConnectionError, ENHANCE_YOUR_CALM } from "../http2/index.ts";

/** Frames in a burst that cost us work and bring a request no further; refilled by a tenth of it a second. */
const IDLE_FRAMES = 1_000;
/** Idle frames that one write of ours pays for: a client acknowledges SETTINGS, and pings to measure. */
const EARNED_A_WRITE = 4;
/**
 * So many bytes that we sent are answered with one WINDOW_UPDATE at most. Go's client sends two for every 8 KB, and all at
 * once for what lay in buffers and windows, so that what was earned is kept for them: up to what 8 MB bring.
 */
const BYTES_A_FRAME = 128;
const MOST_EARNED = 65_536;

/**
 * What a client may make us do for nothing. RST_STREAM (CVE-2023-44487), PING, SETTINGS, PRIORITY, WINDOW_UPDATE and
 * empty DATA (CVE-2019-9511 to 9518) are well-formed and cheap to send; only their number is an attack. Times are in
 * milliseconds, above 0, and may be coarse.
 */
export class FrameBudget {
  readonly #most: number;
  #resets: number;
  #resetsAt = 0;
  #idleFrames = IDLE_FRAMES;
  #idleFramesAt = 0;
  /** Frames that the client may send for what it was sent. */
  #earned = 0;

  /** @param resets in a burst; refilled by a twentieth of it a second */
  constructor(resets: number) {
    this.#most = resets;
    this.#resets = resets;
  }

  /** A stream was reset: by the client, or by us because it broke the protocol on it (CVE-2025-8671). @throws ConnectionError */
  chargeReset(now: number): void {
    const refilled = this.#resets + ((now - this.#resetsAt) * this.#most) / 20_000;
    this.#resets = Math.min(this.#most, refilled) - 1;
    this.#resetsAt = now;
    if (this.#resets < 0) throw calm("too many streams were reset", "reset_flood");
  }

  /** @throws ConnectionError */
  chargeIdleFrame(now: number): void {
    if (this.#earned >= 1) {
      this.#earned--;
      return;
    }
    const refilled = this.#idleFrames + ((now - this.#idleFramesAt) * IDLE_FRAMES) / 10_000;
    this.#idleFrames = Math.min(IDLE_FRAMES, refilled) - 1;
    this.#idleFramesAt = now;
    if (this.#idleFrames < 0) throw calm("too many frames that carry nothing", "frame_flood");
  }

  /** `bytes` left for the client, in one write. */
  earn(bytes: number): void {
    this.#idleFrames = Math.min(this.#idleFrames + EARNED_A_WRITE, IDLE_FRAMES);
    this.#earned = Math.min(this.#earned + bytes / BYTES_A_FRAME, MOST_EARNED);
  }
}

function calm(message: string, reason: string): ConnectionError {
  return new ConnectionError(ENHANCE_YOUR_CALM, message, reason);
}
