import { type Command, CONFIG_OPTION, EXIT, parse, type Terminal } from "./command.ts";
import { loadOrReport } from "./load-or-report.ts";

/** How long a gateway may take to answer, milliseconds. */
const PATIENCE_MS = 3_000;

export const health: Command = {
  name: "health",
  usage: "health [-c FILE | --url URL]",
  summary: "exit code 0 when the gateway is ready, 1 when it is not; for container health checks",
  async run(args, terminal) {
    const { values } = parse(args, { ...CONFIG_OPTION, url: { type: "string" } });
    const at = values.url === undefined ? await readyUrl(values.config, terminal) : { url: values.url };
    if (at === undefined) return EXIT.failed;
    try {
      const response = await fetch(at.url, {
        ...(at.socket === undefined ? {} : { unix: at.socket }),
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const body = (await response.text()).trim();
      terminal.out(`${response.status} ${body}`);
      return response.status === 200 ? EXIT.ok : EXIT.failed;
    } catch (error) {
      terminal.err(
        `sluice: ${at.url} does not answer: ${error instanceof Error ? error.message : String(error)}`,
      );
      return EXIT.failed;
    }
  },
};

async function readyUrl(
  file: string,
  terminal: Terminal,
): Promise<{ url: string; socket?: string } | undefined> {
  const loaded = await loadOrReport(file, terminal);
  if (loaded === undefined) return undefined;
  const address = loaded.config.admin?.address;
  if (address === undefined) {
    terminal.err(`sluice: ${file} has no admin listener to ask`);
    return undefined;
  }
  if (address.kind === "unix") return { url: "http://localhost/readyz", socket: address.path };
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[address.host] ?? address.host;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}/readyz` };
}
