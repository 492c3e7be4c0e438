/*
 * Holds many event streams (SSE) open through a running gateway: each event must arrive, in order, and late by no
 * more than the machine needs. Prints the memory of a stream.
 *
 *   bun scripts/soak-streams.ts [STREAMS=5000] [SECONDS=60]
 *
 * Exit code 1 when an event was lost, repeated or out of order. Needs dist/sluice, and a limit of open files above
 * twice the streams.
 */
import type { Socket } from "bun";
import { join } from "node:path";
import { startBinary } from "../core/e2e/binary.ts";

const STREAMS = Number(process.argv[2] ?? 5_000);
const SECONDS = Number(process.argv[3] ?? 60);
/** Streams that are opened at a time. */
const OPENING = 100;

const HEAD = Buffer.from(
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n",
);

/** Answers every request with a stream, to which `send` adds an event. */
function startUpstream() {
  const open = new Set<Socket>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        open.add(socket);
        socket.write(HEAD);
      },
      close: (socket) => void open.delete(socket),
    },
  });
  return {
    port: server.port,
    open,
    send(id: number) {
      const event = `id: ${id}\ndata: ${performance.now()}\n\n`;
      const chunk = Buffer.from(`${event.length.toString(16)}\r\n${event}\r\n`);
      for (const socket of open) socket.write(chunk);
    },
    stop: () => server.stop(true),
  };
}

interface Reader {
  text: string;
  next: number;
}

let received = 0;
let wrong = 0;
let closed = 0;
const late: number[] = [];

function read(reader: Reader, chunk: Uint8Array): void {
  reader.text += Buffer.from(chunk).toString("latin1");
  for (;;) {
    const event = /id: (\d+)\ndata: ([\d.]+)\n\n/.exec(reader.text);
    if (event === null) return;
    reader.text = reader.text.slice(event.index + event[0].length);
    if (Number(event[1]) !== reader.next) wrong++;
    reader.next = Number(event[1]) + 1;
    received++;
    late.push(performance.now() - Number(event[2]));
  }
}

async function openStream(port: number): Promise<Socket<Reader>> {
  return Bun.connect<Reader>({
    hostname: "127.0.0.1",
    port,
    data: { text: "", next: 0 },
    socket: {
      open: (socket) =>
        void socket.write("GET /events HTTP/1.1\r\nhost: soak\r\naccept: text/event-stream\r\n\r\n"),
      data: (socket, chunk) => read(socket.data, chunk),
      close: () => void closed++,
      error() {},
    },
  });
}

const upstream = startUpstream();
await using gateway = await startBinary(`version: 1
listeners: [{ address: "127.0.0.1:0" }]
log: { access: false }
upstreams:
  events: { targets: ["http://127.0.0.1:${upstream.port}"], pool: { max_connections: ${STREAMS} } }
routes:
  - { match: { path: /* }, upstream: events }
`);
const rss = async (): Promise<number> => {
  const status = await Bun.file(join("/proc", String(gateway.pid), "status")).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
};

const idle = await rss();
const streams: Socket<Reader>[] = [];
while (streams.length < STREAMS) {
  const some = Math.min(OPENING, STREAMS - streams.length);
  streams.push(...(await Promise.all(Array.from({ length: some }, () => openStream(gateway.port)))));
  while (upstream.open.size < streams.length) await Bun.sleep(5);
}
const opened = await rss();
console.log(`${STREAMS} streams open: rss ${(idle / 1024).toFixed(1)} → ${(opened / 1024).toFixed(1)} MB`);

let most = opened;
for (let id = 0; id < SECONDS; id++) {
  const begun = performance.now();
  upstream.send(id);
  while (received + wrong < (id + 1) * STREAMS && closed === 0 && performance.now() - begun < 10_000)
    await Bun.sleep(5);
  most = Math.max(most, await rss());
  await Bun.sleep(Math.max(0, 1_000 - (performance.now() - begun)));
}

late.sort((a, b) => a - b);
const at = (share: number): string => (late[Math.floor((late.length - 1) * share)] ?? 0).toFixed(1);
console.log(`${received} of ${STREAMS * SECONDS} events, ${wrong} out of order, ${closed} streams closed`);
console.log(
  `from upstream to client: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms (a burst to all streams)`,
);
console.log(
  `rss at most ${(most / 1024).toFixed(1)} MB: ${((most - idle) / STREAMS).toFixed(1)} KiB a stream`,
);
for (const socket of streams) socket.terminate();
while (upstream.open.size > 0) await Bun.sleep(10);
await Bun.sleep(1_000);
console.log(`after they left: rss ${((await rss()) / 1024).toFixed(1)} MB`);
upstream.stop();
process.exitCode = received === STREAMS * SECONDS && wrong === 0 ? 0 : 1;
