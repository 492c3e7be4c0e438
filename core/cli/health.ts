import { readFileSync } from "node:fs";
import {
  type Command,
  CONFIG_OPTION,
  EXIT,
  type Options,
  parse,
  type Terminal,
  UsageError,
} from "./command.ts";
import { lookAt } from "./load-or-report.ts";

/** How long a gateway may take to answer, milliseconds. */
const PATIENCE_MS = 3_000;

const OPTIONS = {
  ...CONFIG_OPTION,
  url: { type: "string", value: "URL", meaning: "asks this instead of the configuration's admin listener" },
  ca: { type: "string", value: "FILE", meaning: "the authority of an https URL's certificate" },
} as const satisfies Options;

export const health: Command = {
  name: "health",
  usage: "health [-c FILE | --url URL [--ca FILE]]",
  summary: "exit code 0 when the gateway is ready, 1 when it is not; for container health checks",
  options: OPTIONS,
  async run(args, terminal) {
    const { values } = parse(args, OPTIONS);
    const at = values.url === undefined ? await readyUrl(values.config, terminal) : givenUrl(values.url);
    if (at === undefined) return EXIT.failed;
    const ca = values.ca === undefined ? undefined : read(values.ca);
    try {
      const response = await fetch(at.url, {
        ...(at.socket === undefined ? {} : { unix: at.socket }),
        ...(ca === undefined ? {} : { tls: { ca } }),
        // That of HTTP_PROXY is for the way out; the gateway stands here.
        proxy: false,
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const body = (await response.text()).trim();
      terminal.out(`${response.status} ${body}`);
      return response.status === 200 ? EXIT.ok : EXIT.failed;
    } catch (error) {
      terminal.err(`sluice: ${at.socket ?? at.url} does not answer: ${reason(error)}`);
      return EXIT.failed;
    }
  },
};

interface Asked {
  readonly url: string;
  /** Path of the unix socket to ask through. */
  readonly socket?: string;
}

function givenUrl(text: string): Asked {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return { url: text };
  throw new UsageError(`expected an http or https URL, got ${JSON.stringify(text)}`);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`--ca: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readyUrl(file: string, terminal: Terminal): Promise<Asked | undefined> {
  const config = await lookAt(file, terminal);
  if (config === undefined) return undefined;
  const address = config.admin?.address;
  if (address === undefined) {
    terminal.err(`sluice: ${file} has no admin listener to ask, use --url`);
    return undefined;
  }
  if (address.kind === "unix") return { url: "http://localhost/readyz", socket: address.path };
  if (address.port === 0) {
    terminal.err(`sluice: the admin listener of ${file} takes any free port (0), use --url`);
    return undefined;
  }
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[address.host] ?? address.host;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}/readyz` };
}

/** Where the runtime's own words ask whether the URL has a typing mistake. */
const IN_OUR_WORDS: ReadonlyMap<unknown, string> = new Map([
  ["ECONNREFUSED", "connection refused"],
  ["ENOENT", "no such socket"],
]);

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return ("code" in error ? IN_OUR_WORDS.get(error.code) : undefined) ?? error.message;
}
