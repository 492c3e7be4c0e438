/**
 * Silence after which the kernel probes a TCP connection, in milliseconds: a peer that vanished without a word is
 * noticed, whether it called us or we called it.
 */
export const TCP_KEEPALIVE = 30_000;
