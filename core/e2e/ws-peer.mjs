// A WebSocket server or client of the package `ws`, on Node: Bun answers an import of `ws` with one of its own.
// What happens is told on stdout, a JSON object a line.
import { WebSocket, WebSocketServer } from "ws";

const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const [role, url, ...protocols] = process.argv.slice(2);

/** Commands on stdin, a JSON array a line: a method's name and its arguments. */
function obey(commands) {
  let rest = "";
  process.stdin.on("data", (chunk) => {
    rest += chunk;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const [name, ...args] = JSON.parse(rest.slice(0, end));
      rest = rest.slice(end + 1);
      commands[name](...args);
    }
  });
  process.stdin.on("end", () => process.exit(0));
}

function watch(socket) {
  socket.on("message", (data, binary) =>
    tell({ event: "message", binary, ...(binary ? { bytes: data.length } : { text: data.toString() }) }),
  );
  socket.on("ping", (data) => tell({ event: "ping", text: data.toString() }));
  socket.on("pong", (data) => tell({ event: "pong", text: data.toString() }));
  socket.on("close", (code, reason) => tell({ event: "close", code, reason: reason.toString() }));
  socket.on("error", (error) => tell({ event: "error", message: error.message }));
}

const commandsOf = (socket) => ({
  send: (text) => socket().send(text),
  sendBytes: (bytes) => socket().send(Buffer.alloc(bytes, 7), { compress: false }),
  ping: (text) => socket().ping(text),
  close: (code, reason) => socket().close(code, reason),
  terminate: () => socket().terminate(),
  pause: () => socket().pause(),
  resume: () => socket().resume(),
  buffered: () => tell({ event: "buffered", bytes: socket().bufferedAmount }),
});

if (role === "server") {
  let newest;
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    maxPayload: 1 << 28,
    perMessageDeflate: true,
    handleProtocols: (offered) => [...offered].at(-1),
    verifyClient: ({ req }) => !req.url.startsWith("/refused"),
  });
  server.on("listening", () => tell({ event: "listening", port: server.address().port }));
  server.on("connection", (socket, request) => {
    newest = socket;
    tell({ event: "connection", url: request.url, headers: request.headers });
    watch(socket);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  obey(commandsOf(() => newest));
} else {
  const socket = new WebSocket(url, protocols, { maxPayload: 1 << 28 });
  socket.on("open", () => tell({ event: "open", protocol: socket.protocol, extensions: socket.extensions }));
  socket.on("upgrade", ({ headers }) => tell({ event: "upgrade", headers }));
  socket.on("unexpected-response", (_, response) => {
    tell({ event: "refused", status: response.statusCode, headers: response.headers });
    response.resume();
  });
  watch(socket);
  obey(commandsOf(() => socket));
}
