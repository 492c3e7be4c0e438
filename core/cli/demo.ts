import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../services/clock.ts";
import { systemRandom } from "../services/random.ts";
import { createFdSink } from "../services/stdout-sink.ts";
import { type Command, parse } from "./command.ts";
import { runGateway } from "./run.ts";

export const demo: Command = {
  name: "demo",
  usage: "demo",
  summary: "runs a gateway in front of pretend HTTP, OpenAI, Anthropic and KServe upstreams",
  options: {},
  async run(args, terminal) {
    parse(args, demo.options);
    // Only here: its servers bring libraries that a gateway does not need.
    const { demoBanner, demoConfig, freePorts, startDemoUpstreams } = await import("../demo/index.ts");
    const upstreams = await startDemoUpstreams({ clock: systemClock, random: systemRandom });
    const ports = freePorts();
    const dir = mkdtempSync(join(tmpdir(), "sluice-demo-"));
    const file = join(dir, "sluice.yaml");
    writeFileSync(file, demoConfig(upstreams, ports));
    try {
      return await runGateway(file, terminal, createFdSink(1, systemClock), () => {
        terminal.out(demoBanner(ports));
        terminal.out(`The configuration is ${file}: edit it and it is reloaded. Ctrl-C stops.\n`);
      });
    } finally {
      await upstreams.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
