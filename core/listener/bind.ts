import type { SocketHandler, TCPSocketListener, TCPSocketListenOptions, UnixSocketListener } from "bun";
import { lstat, unlink } from "node:fs/promises";
import { formatAddress } from "../../config/address.ts";
import type { Address } from "../../config/types.ts";
import type { BunWire } from "../http1/bun-wire.ts";

export type Bound = TCPSocketListener<BunWire> | UnixSocketListener<BunWire>;

/** The runtime knows `reusePort`; its types of `Bun.listen` do not. */
interface TcpOptions extends TCPSocketListenOptions<BunWire> {
  readonly reusePort: boolean;
}

/**
 * Listens on an address. A unix socket file that a dead process left behind is replaced; one that somebody
 * listens on is not.
 * @throws Error of one line that names the address
 */
export async function bind(
  address: Address,
  socket: SocketHandler<BunWire>,
  reusePort: boolean,
): Promise<Bound> {
  const where = formatAddress(address);
  if (address.kind === "unix") await clearSocketFile(address.path, where);
  try {
    if (address.kind === "unix") return Bun.listen({ unix: address.path, allowHalfOpen: true, socket });
    const { host: hostname, port } = address;
    const options: TcpOptions = { hostname, port, allowHalfOpen: true, reusePort, socket };
    return Bun.listen(options);
  } catch (error) {
    throw new Error(why(error, where), { cause: error });
  }
}

function why(error: unknown, where: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "EADDRINUSE":
      return `address ${where} is already in use`;
    case "EACCES":
    case "EPERM":
      return `no permission to listen on ${where}`;
    case "EADDRNOTAVAIL":
      return `address ${where} does not belong to this machine`;
    case "ENOENT":
    case "ENOTDIR":
      return `cannot listen on ${where}: its directory does not exist`;
    case "EINVAL":
    case "ENAMETOOLONG":
      return `cannot listen on ${where}: the path is too long for a unix socket`;
    case undefined:
    case "ENOTFOUND":
      // The runtime gives no code for a name that it could not look up.
      return `cannot listen on ${where}: the host name is unknown`;
    default:
      return `cannot listen on ${where}: ${message}`;
  }
}

async function clearSocketFile(path: string, where: string): Promise<void> {
  let file;
  try {
    file = await lstat(path);
  } catch {
    // Nothing there, or a directory that cannot be read: listening says what is wrong.
    return;
  }
  if (!file.isSocket())
    throw new Error(`cannot listen on ${where}: a file that is no socket is in its place`);
  if (await answers(path)) throw new Error(`address ${where} is already in use`);
  try {
    await unlink(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`cannot remove the stale socket file of ${where} (${code ?? String(error)})`, {
      cause: error,
    });
  }
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch (error) {
    // Only a refusal shows that nobody listens; without permission to ask, somebody may.
    const { code } = error as NodeJS.ErrnoException;
    return code !== "ECONNREFUSED" && code !== "ENOENT";
  }
}
