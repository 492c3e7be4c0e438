import { dlopen, ptr } from "bun:ffi";

/** A port on which the kernel answers no SYN for now, as a machine does that is gone or behind a silent firewall. */
export interface FullBacklog extends Disposable {
  readonly port: number;
  /** Takes what waits: connections come to stand again. */
  accept(): void;
}

const AF_INET = 2;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0x8_0801;

const libc = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;

/** The runtime accepts whatever comes; a socket of the kernel's, whose queue is full, takes nothing (listen(2)). */
export async function fullBacklog(): Promise<FullBacklog> {
  const fd = libc.socket(AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
  const address = new Uint8Array(16);
  address.set([AF_INET, 0, 0, 0, 127, 0, 0, 1]);
  if (libc.bind(fd, ptr(address), 16) !== 0 || libc.listen(fd, 0) !== 0) throw new Error("no such socket");
  libc.getsockname(fd, ptr(address), ptr(new Uint32Array([16])));
  const port = (address[2]! << 8) | address[3]!;
  const filling = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  const accepted: number[] = [];
  return {
    port,
    accept() {
      for (let one = libc.accept(fd, null, null); one >= 0; one = libc.accept(fd, null, null))
        accepted.push(one);
    },
    [Symbol.dispose]() {
      filling.terminate();
      for (const one of accepted) libc.close(one);
      libc.close(fd);
    },
  };
}
