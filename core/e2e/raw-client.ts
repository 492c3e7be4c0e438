/** What a server wrote on a connection until it closed it. */
export interface RawAnswer {
  readonly status: number;
  /** The head's lines in lower case, status line first. */
  readonly head: readonly string[];
  /** Everything behind the head, as it came. */
  readonly body: string;
}

/**
 * Sends these pieces over a connection of its own and waits until the other side closes it. What does not close is
 * the test's timeout.
 */
export async function sendRaw(port: number, ...pieces: readonly (string | Uint8Array)[]): Promise<RawAnswer> {
  const closed = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, chunk) {
        text += chunk.toString("latin1");
      },
      close: () => closed.resolve(text),
      error: (_socket, error) => closed.reject(error),
    },
  });
  for (const piece of pieces) socket.write(piece);
  const answer = await closed.promise;
  const end = answer.indexOf("\r\n\r\n");
  const head = answer.slice(0, Math.max(end, 0)).toLowerCase().split("\r\n");
  return { status: Number(answer.slice(9, 12)), head, body: end < 0 ? answer : answer.slice(end + 4) };
}
