import { GOODBYE, GrpcConnection } from "./grpc-connection.ts";
import { serveOn } from "./origin-process.ts";

const server = Bun.listen<GrpcConnection>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open(socket) {
      socket.data = new GrpcConnection();
      socket.data.written(socket.write(socket.data.output));
    },
    data(socket, bytes) {
      try {
        socket.data.read(bytes);
      } catch {
        socket.end(GOODBYE);
        return;
      }
      const { output } = socket.data;
      // One write for all that was asked in one piece.
      if (output.byteLength > 0) socket.data.written(Math.max(socket.write(output), 0));
    },
    drain(socket) {
      const { output } = socket.data;
      if (output.byteLength > 0) socket.data.written(Math.max(socket.write(output), 0));
    },
    error: (socket) => socket.terminate(),
  },
});

serveOn(server.port);
