import { createInterface } from "node:readline";
import { echoClient } from "./grpc-echo.ts";

/*
 * A gRPC client that is there to be killed, on Node. `[HOST:PORT, METHOD]` on stdin makes its call; it says when the
 * first message has come.
 */

const say = (): void => void process.stdout.write('"data"\n');
const ignore = (): void => undefined;

createInterface({ input: process.stdin }).once("line", (line) => {
  const [address, method] = JSON.parse(line) as [string, string];
  const client = echoClient(address);
  if (method === "Unary")
    client.makeUnaryRequest("/t.Echo/Unary", Buffer.from, Buffer.from, Buffer.alloc(0), ignore);
  else if (method === "ServerStream")
    client.ServerStream({ text: "hang" }).on("data", say).on("error", ignore);
  else if (method === "ClientStream") client.ClientStream(ignore).write({ text: "piece" });
  else client.Bidi().on("data", say).on("error", ignore).write({ text: "piece" });
});
