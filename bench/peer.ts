import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Where a contender has its place in a run. Everything is on 127.0.0.1. */
export interface Place {
  /** That it listens on. */
  readonly port: number;
  /** Of the server that it forwards to. */
  readonly origin: number;
  /** Of the contender's own, with `Launch.files` in it; it is started there. */
  readonly dir: string;
  /** The sluice binary that is measured. */
  readonly sluice: string;
}

/** How to start a program in the foreground. */
export interface Launch {
  readonly command: readonly string[];
  /** Names in `Place.dir`, and what they hold. */
  readonly files?: { readonly [name: string]: string };
  /** Besides PATH and HOME. */
  readonly env?: { readonly [name: string]: string };
}

/** A program for a place; null where clients ask the origin itself. */
export type Configure = (place: Place) => Launch | null;

/**
 * Something that a user would put where Sluice stands: one file in `bench/peers` that exports it as `peer`. One thread
 * or worker, configured as its own documentation recommends for the service.
 */
export interface Peer {
  readonly name: string;
  /** Programs that have to be installed, and their Debian packages. */
  readonly needs?: { readonly [program: string]: string };
  /** Of the installed program, "2.6.12", say. */
  version(place: Pick<Place, "sluice">): Promise<string>;
  /** By the names that scenarios ask for: `http`, `sse`, `grpc`, `pipeline`. A peer takes part where it has the service. */
  readonly serves: { readonly [service: string]: Configure };
}

const FIRST: readonly string[] = ["direct", "sluice"];

/** Every peer in `bench/peers`; `direct` first, `sluice` second, the others by name. */
export async function loadPeers(): Promise<readonly Peer[]> {
  const dir = join(import.meta.dirname, "peers");
  const files = readdirSync(dir).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const peers = await Promise.all(
    files.toSorted().map(async (file) => ((await import(join(dir, file))) as { readonly peer: Peer }).peer),
  );
  const first = FIRST.flatMap((name) => peers.filter((peer) => peer.name === name));
  return [...first, ...peers.filter((peer) => !first.includes(peer))];
}
