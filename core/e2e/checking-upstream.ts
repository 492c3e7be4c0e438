import { chunked, slice, sum } from "./byte-pool.ts";
import { type Message, MessageReader } from "./message-reader.ts";
import { PlainSocket } from "./plain-socket.ts";

/** What the upstream counted. */
export interface UpstreamCounts {
  /** Requests that came to their end. */
  requests: number;
  /** Of those, bodies that were not what `x-sum` promised. */
  wrong: number;
  /** Requests that broke off. */
  brokenOff: number;
  /** Connections that are open. */
  open: number;
}

export interface CheckingUpstream extends Disposable {
  readonly port: number;
  readonly counts: UpstreamCounts;
}

interface Connection {
  readonly socket: PlainSocket;
  readonly reader: MessageReader;
}

/**
 * An HTTP/1.1 upstream on a raw socket. It compares each request's body with the sum in `x-sum` and answers as the
 * query says: `status`; `n` bytes from `off` of the pool; `as`: `length`, `chunked`, `open` (the end of the
 * connection ends it) or `cut` (it breaks off in the middle); `sizes` of the chunks.
 */
export function startCheckingUpstream(): CheckingUpstream {
  const counts: UpstreamCounts = { requests: 0, wrong: 0, brokenOff: 0, open: 0 };
  const server = Bun.listen<Connection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        counts.open++;
        const own = new PlainSocket(socket);
        const reader = new MessageReader(
          (message) => take(message, own, counts),
          () => true,
          false,
        );
        socket.data = { socket: own, reader };
      },
      data: (socket, chunk) => socket.data.reader.feed(chunk),
      drain: (socket) => socket.data.socket.drained(),
      close(socket) {
        counts.open--;
        socket.data.reader.end();
      },
    },
  });
  return { port: server.port, counts, [Symbol.dispose]: () => server.stop(true) };
}

function take(request: Message, socket: PlainSocket, counts: UpstreamCounts): void {
  if (!request.complete) {
    counts.brokenOff++;
    return;
  }
  counts.requests++;
  const got = sum(request.body);
  if (got !== request.headers.get("x-sum")) counts.wrong++;
  const [method, target = ""] = request.start.split(" ");
  const query = new URLSearchParams(target.slice(target.indexOf("?") + 1));
  const number = (name: string): number => Number(query.get(name) ?? 0);
  const body = slice(number("off"), number("n"));
  const as = query.get("as");
  const isBodyless = method === "HEAD" || number("status") === 204 || number("status") === 304;
  let head = `HTTP/1.1 ${number("status")} Whatever\r\nx-got: ${got}\r\n`;
  if (as === "chunked") head += "transfer-encoding: chunked\r\n";
  else if (as === "open") head += "connection: close\r\n";
  else if (number("status") !== 204) head += `content-length: ${body.byteLength}\r\n`;
  socket.write(Buffer.from(`${head}\r\n`));
  if (!isBodyless && as === "cut") {
    socket.write(body.subarray(0, body.byteLength >> 1));
    socket.end();
    return;
  }
  if (!isBodyless) {
    const sizes = (query.get("sizes") ?? "")
      .split("-")
      .map(Number)
      .filter((size) => size > 0);
    socket.write(as === "chunked" ? chunked(body, sizes, "x-trailer: yes\r\n") : body);
  }
  if (as === "open") socket.end();
}
