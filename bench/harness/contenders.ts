import type { Configure, Peer } from "../peer.ts";
import type { Scenario } from "../scenario.ts";
import type { Options } from "./options.ts";

/** Something that takes part in a scenario. */
export interface Contender {
  readonly name: string;
  readonly configure: Configure;
  /** The sluice binary, where it is one. */
  readonly sluice: string;
}

const SLUICE = "sluice";
const ALWAYS: readonly string[] = ["direct", SLUICE];

/** Who takes part, in the order of their turns. Other builds of sluice come after it. */
export function contendersOf(
  scenario: Scenario,
  peers: readonly Peer[],
  options: Pick<Options, "peers" | "sluice" | "builds">,
): readonly Contender[] {
  const all: Contender[] = [];
  const add = (name: string, configure: Configure): void => {
    all.push({ name, configure, sluice: options.sluice });
    if (!name.startsWith(SLUICE)) return;
    for (const [build, sluice] of options.builds)
      all.push({ name: build + name.slice(SLUICE.length), configure, sluice });
  };
  if (scenario.contenders !== undefined) {
    for (const [name, configure] of Object.entries(scenario.contenders)) add(name, configure);
    return all;
  }
  for (const peer of peers) {
    const configure = peer.serves[scenario.service];
    if (configure === undefined || scenario.without?.includes(peer.name)) continue;
    if (options.peers?.includes(peer.name) === false && !ALWAYS.includes(peer.name)) continue;
    add(peer.name, configure);
  }
  return all;
}
