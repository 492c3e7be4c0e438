import { promises } from "node:dns";
import type { Clock } from "sluice/plugin";
import type { DnsConfig } from "../../../config/types.ts";
import { canonicalAddress } from "../../net/ip-address.ts";
import { systemClock } from "../../services/clock.ts";
import { withinTime } from "../../services/within-time.ts";
import { MAX_ADDRESSES } from "./address-set.ts";
import { type Addresses, Inquiry, type SrvRecord } from "./ask.ts";
import { bareName, isLocalhost } from "./is-name.ts";
import {
  codeOf,
  type FailedPart,
  type FoundAddress,
  type LookUp,
  type LookUpAnswer,
  LookUpError,
  type Question,
  saysNothing,
} from "./look-up.ts";
import { absoluteNames, hostsAddresses, searchRules } from "./system-files.ts";

export interface LookUpSettings {
  readonly clock: Clock;
  /** Paths of the system's files. */
  readonly hosts: string;
  readonly resolvConf: string;
  /** Of the system, `address:port` each. Empty: those that the resolver finds by itself. */
  readonly servers: readonly string[];
}

/** Milliseconds for which an answer without a TTL holds: the hosts file's, the name service's. */
const DEFAULT_TTL = 30_000;
/** Milliseconds for which SRV records hold at the most: the runtime's resolver does not say their TTL. */
const SRV_TTL = 10_000;
/** Targets of SRV records whose addresses are asked for at a time: a burst of more would lose packets. */
const SRV_QUESTIONS = 32;

/**
 * The machine's way to find a name: `/etc/hosts`; the servers and search domains of `/etc/resolv.conf`; where those
 * say that there is no such name, the C library (getaddrinfo), which knows further sources. With `servers` in the
 * question: those servers and nothing else, the name as an absolute one.
 *
 * SRV records are DNS's alone. The addresses of their targets are asked for one by one; the answer holds for as long
 * as the shortest of them, 10 s at the most.
 */
export const systemLookUp: LookUp = createLookUp({
  clock: systemClock,
  hosts: "/etc/hosts",
  resolvConf: "/etc/resolv.conf",
  servers: [],
});

export function createLookUp(settings: LookUpSettings): LookUp {
  return async (question) => {
    const own = question.servers.length > 0;
    const inquiry = new Inquiry(own ? question.servers : settings.servers);
    const answer = own ? lookUpWithServers(inquiry, question) : lookUpInSystem(inquiry, question, settings);
    return withinTime(settings.clock, answer, question.timeout, () => {
      inquiry.cancel();
      return new LookUpError("timeout", question.name);
    });
  };
}

function lookUpWithServers(inquiry: Inquiry, { name, srv, family }: Question): Promise<LookUpAnswer> {
  return srv ? lookUpServices(inquiry, [name], family) : lookUpHost(inquiry, [name], family);
}

async function lookUpInSystem(
  inquiry: Inquiry,
  { name, srv, family }: Question,
  { hosts, resolvConf }: LookUpSettings,
): Promise<LookUpAnswer> {
  const candidates = absoluteNames(name, searchRules(await textOf(resolvConf)));
  if (srv) return lookUpServices(inquiry, candidates, family);
  const local = ofFamily(hostsAddresses(await textOf(hosts), name), family);
  if (local.length > 0) return { addresses: local.map(plain), ttl: DEFAULT_TTL };
  const answer = await lookUpHost(inquiry, candidates, family);
  if (answer.addresses.length > 0) return answer;
  return { addresses: (await lookUpInLibrary(name, family)).map(plain), ttl: DEFAULT_TTL };
}

/** The first of the names that has addresses. */
async function lookUpHost(
  inquiry: Inquiry,
  names: readonly string[],
  family: DnsConfig["family"],
): Promise<LookUpAnswer> {
  for (const name of names) {
    // A failure ends it: a later name may be somebody else's.
    const { addresses, ttl, failed } = await inquiry.addresses(name, family);
    if (addresses.length > 0) {
      const parts = failed.map((part) => ({ ...part, host: undefined }));
      return { addresses: addresses.map(plain), ttl, failed: parts };
    }
  }
  return { addresses: [], ttl: DEFAULT_TTL };
}

async function lookUpServices(
  inquiry: Inquiry,
  names: readonly string[],
  family: DnsConfig["family"],
): Promise<LookUpAnswer> {
  let records: readonly SrvRecord[] = [];
  for (const name of names) {
    records = await inquiry.services(name);
    if (records.length > 0) break;
  }
  // RFC 2782: the root as the target says that the service is decidedly not available.
  const services = records.filter(({ name }) => bareName(name) !== "");
  const targets = await targetAddresses(inquiry, services, family);
  const addresses: FoundAddress[] = [];
  const failed: FailedPart[] = [];
  let ttl = SRV_TTL;
  for (const [host, target] of targets) {
    ttl = Math.min(ttl, target.ttl);
    failed.push(...target.failed.map((part) => ({ ...part, host })));
  }
  for (const { name, port, weight, priority } of services) {
    const host = bareName(name);
    for (const address of targets.get(host)?.addresses ?? []) {
      addresses.push({ address, port, weight, priority, host });
    }
  }
  return { addresses, ttl, failed };
}

/** The addresses of every target by its name; those of the best priority where there are far too many. */
async function targetAddresses(
  inquiry: Inquiry,
  services: readonly SrvRecord[],
  family: DnsConfig["family"],
): Promise<Map<string, Addresses>> {
  const byPriority = services.toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
  const hosts = new Set(byPriority.map(({ name }) => bareName(name)));
  const waiting = hosts.values();
  const targets = new Map<string, Addresses>();
  let found = 0;
  const work = async () => {
    for (const host of waiting) {
      if (found > MAX_ADDRESSES) return;
      const target = await oneTarget(inquiry, host, family);
      targets.set(host, target);
      found += target.addresses.length;
    }
  };
  await Promise.all(Array.from({ length: SRV_QUESTIONS }, work));
  return targets;
}

async function oneTarget(inquiry: Inquiry, host: string, family: DnsConfig["family"]): Promise<Addresses> {
  // Neither may stand there, and both do: an address is what it is, `localhost` is known (RFC 6761 §6.3).
  const given = isLocalhost(host) ? ["127.0.0.1", "::1"] : canonicalAddress(host) === undefined ? [] : [host];
  if (given.length > 0) return { addresses: ofFamily(given, family), ttl: Infinity, failed: [] };
  try {
    return await inquiry.addresses(host, family);
  } catch (error) {
    const code = codeOf(error);
    return { addresses: [], ttl: Infinity, failed: [4, 6].map((one) => ({ family: one as 4 | 6, code })) };
  }
}

/** Those of the families that are wanted; of `auto` IPv4 where there is any. */
function ofFamily(addresses: readonly string[], family: DnsConfig["family"]): readonly string[] {
  if (family === "all") return addresses;
  const ipv4 = addresses.filter((address) => !address.includes(":"));
  if (family === "ipv4" || (family === "auto" && ipv4.length > 0)) return ipv4;
  return addresses.filter((address) => address.includes(":"));
}

/** The last of the library's look-ups that were begun. */
let lastInLibrary: Promise<unknown> = Promise.resolve();
const inLibrary = new Map<string, Promise<readonly string[]>>();

/**
 * The C library's look-up. It holds up one of the few threads that the runtime has for files and compression too,
 * nobody can end it, and without a DNS server that answers it takes many seconds. So one runs at a time, and one that
 * was given up is waited for by the next for the same name.
 */
function lookUpInLibrary(name: string, family: DnsConfig["family"]): Promise<readonly string[]> {
  const key = `${family} ${name}`;
  const running = inLibrary.get(key) ?? lastInLibrary.then(() => askLibrary(name, family));
  if (!inLibrary.has(key)) {
    inLibrary.set(key, running);
    lastInLibrary = running.catch(() => {}).finally(() => inLibrary.delete(key));
  }
  return running;
}

async function askLibrary(name: string, family: DnsConfig["family"]): Promise<readonly string[]> {
  try {
    const number = family === "ipv4" ? 4 : family === "ipv6" ? 6 : 0;
    const found = await promises.lookup(name, { all: true, family: number });
    return ofFamily(
      found.map(({ address }) => address),
      family,
    );
  } catch (error) {
    const code = codeOf(error);
    if (saysNothing(code)) return [];
    throw new LookUpError(code, name);
  }
}

const plain = (address: string): FoundAddress => ({
  address,
  port: undefined,
  weight: undefined,
  priority: undefined,
});

/** A file that is not there, or not ours to read, says nothing. */
async function textOf(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch {
    return "";
  }
}
