/** Where the demo's gateway listens, on the loopback. */
export interface DemoPorts {
  readonly gateway: number;
  readonly admin: number;
}

const FIRST: DemoPorts = { gateway: 8080, admin: 8081 };
/** How far a port is moved before the system chooses one. */
const TRIES = 20;

/** The wanted ports (default 8080 and 8081), each moved up to the next one on which nobody listens. */
export function freePorts(wanted: Partial<DemoPorts> = {}): DemoPorts {
  const gateway = freeFrom(wanted.gateway ?? FIRST.gateway, []);
  return { gateway, admin: freeFrom(wanted.admin ?? FIRST.admin, [gateway]) };
}

function freeFrom(first: number, taken: readonly number[]): number {
  for (let port = first; port < first + TRIES && port < 65_536; port++) {
    if (taken.includes(port)) continue;
    const found = tryPort(port);
    if (found !== undefined) return found;
  }
  return tryPort(0) ?? 0;
}

/** The port that listening on `port` gave, freed again; undefined where it is taken. */
function tryPort(port: number): number | undefined {
  try {
    const probe = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
    const got = probe.port;
    probe.stop(true);
    return got;
  } catch {
    return undefined;
  }
}
