/** What the gateway grants any upstream, whatever its protocol. */

/** Bounds on an answer's head and on its trailers. Wider than what clients may send: an upstream is known. */
export const ANSWER_LIMITS = { headerBytes: 131_072, headerCount: 512, blockBytes: 262_144 } as const;

export { TCP_KEEPALIVE } from "../net/keep-alive.ts";
