import {
  type Answer,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  type StringAnswer,
  TRUNCATED_RESPONSE,
} from "dns-packet";

/* A DNS server (RFC 1035) on loopback that says what a test tells it to, over UDP and TCP. */

export interface Asked {
  /** As it came. */
  readonly name: string;
  readonly type: string;
  readonly over: "udp" | "tcp";
}

/** Records, a response code, bytes to send as they are, or nothing at all. */
export type Reply = readonly Answer[] | number | Uint8Array | "silence" | "truncated";

export interface TestDns extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** `TYPE name over` of every question that came. */
  readonly asked: string[];
}

export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const REFUSED = 5;

/** Starts one; what `reply` does not know is NXDOMAIN. */
export async function startDns(reply: (asked: Asked) => Reply | undefined): Promise<TestDns> {
  const asked: string[] = [];

  const respond = (message: Buffer, over: "udp" | "tcp"): Uint8Array | undefined => {
    const query = decode(message);
    const { name, type } = query.questions![0]!;
    asked.push(`${type} ${name} ${over}`);
    const said = reply({ name, type, over }) ?? NXDOMAIN;
    if (said === "silence") return undefined;
    if (said instanceof Uint8Array) return said;
    const flags =
      RECURSION_DESIRED |
      RECURSION_AVAILABLE |
      (said === "truncated" ? TRUNCATED_RESPONSE : 0) |
      (typeof said === "number" ? said : 0);
    const answers = typeof said === "object" ? [...said] : [];
    const packet: Packet = { type: "response", id: query.id!, flags, questions: query.questions!, answers };
    return encode(packet);
  };

  const tcp = Bun.listen<Buffer>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = Buffer.alloc(0);
      },
      // RFC 1035 §4.2.2: two bytes of length before each message.
      data(socket, bytes) {
        let held = Buffer.concat([socket.data, bytes]);
        while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
          const end = 2 + held.readUInt16BE(0);
          const response = respond(held.subarray(2, end), "tcp");
          held = held.subarray(end);
          if (response === undefined) continue;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(response.length);
          socket.write(Buffer.concat([length, response]));
        }
        socket.data = held;
      },
    },
  });
  const udp = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: tcp.port,
    socket: {
      data(socket, message, port, address) {
        const response = respond(Buffer.from(message), "udp");
        if (response !== undefined) socket.send(response, port, address);
      },
    },
  });
  return {
    address: `127.0.0.1:${tcp.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      udp.close();
      tcp.stop(true);
      await Promise.resolve();
    },
  };
}

export function a(name: string, address: string, ttl = 60): StringAnswer {
  return { name, type: "A", ttl, data: address };
}

export function aaaa(name: string, address: string, ttl = 60): StringAnswer {
  return { name, type: "AAAA", ttl, data: address };
}

export function cname(name: string, to: string, ttl = 60): StringAnswer {
  return { name, type: "CNAME", ttl, data: to };
}

export function srv(name: string, target: string, port: number, weight = 0, priority = 0, ttl = 60): Answer {
  return { name, type: "SRV", ttl, data: { target, port, weight, priority } };
}
