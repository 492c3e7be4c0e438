import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { runBinary, startBinary } from "./binary.ts";
import { freePort } from "./free-port.ts";
import { startHttpUpstream } from "./http-upstream.ts";

/* What keeps the compiled binary from starting, and what it leaves of itself then: one line and exit code 3. */

const config = (listeners: string, more = ""): string => `version: 1
listeners: [${listeners}]
${more}routes: [{ respond: { status: 204 } }]
`;

/** Something that listens on a port of 127.0.0.1. */
function occupied(): Disposable & { port: number } {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

async function refusal(yaml: string): Promise<string> {
  using dir = temporaryDir({ "sluice.yaml": yaml });
  const { code, stdout, stderr } = await runBinary(["run"], dir.path);
  expect([code, stdout]).toEqual([3, ""]);
  return stderr;
}

describe("an address in use", () => {
  test("of a gateway listener", async () => {
    using other = occupied();
    expect(await refusal(config(`{ address: "127.0.0.1:${other.port}" }`))).toBe(
      `sluice: address 127.0.0.1:${other.port} is already in use\n`,
    );
  });

  test("of the admin listener", async () => {
    using other = occupied();
    const admin = `admin: { address: "127.0.0.1:${other.port}" }\n`;
    expect(await refusal(config('{ address: "127.0.0.1:0" }', admin))).toBe(
      `sluice: address 127.0.0.1:${other.port} is already in use\n`,
    );
  });

  test("of one among several: the others do not listen either", async () => {
    using other = occupied();
    const free = freePort();
    await refusal(config(`{ address: "127.0.0.1:${free}" }, { address: "127.0.0.1:${other.port}" }`));
    const failure = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connect(free, "127.0.0.1").on("error", resolve);
    });
    expect(failure.code).toBe("ECONNREFUSED");
  });

  test("by a gateway that runs: the second one leaves it alone", async () => {
    await using first = await startBinary(config('{ address: "127.0.0.1:0" }'));
    expect(await refusal(config(`{ address: "${first.listener()}" }`))).toBe(
      `sluice: address ${first.listener()} is already in use\n`,
    );
    expect((await fetch(`http://${first.listener()}/`)).status).toBe(204);
  });
});

test("an address of another machine", async () => {
  // RFC 5737 §3: for documentation, nobody has it.
  expect(await refusal(config('{ address: "192.0.2.1:18080" }'))).toBe(
    "sluice: address 192.0.2.1:18080 does not belong to this machine\n",
  );
});

test("a unix socket in a directory that is not there", async () => {
  expect(await refusal(config('{ address: "unix:/nonexistent/sluice.sock" }'))).toBe(
    "sluice: cannot listen on unix:/nonexistent/sluice.sock: its directory does not exist\n",
  );
});

test("SIGHUP while it starts does not end it: it reloads once it has started", async () => {
  let signalled = false;
  // Asked by the plugin's setup, in the middle of the start.
  await using server = startHttpUpstream("setup", (request) => {
    if (signalled) return undefined;
    signalled = true;
    process.kill(Number(new URL(request.url).pathname.slice(1)), "SIGHUP");
    return undefined;
  });
  await using gateway = await startBinary(
    `version: 1
listeners: [{ address: "127.0.0.1:0" }]
plugins: { asks: ./asks.ts }
routes: [{ pipeline: [asks], respond: { status: 204 } }]
`,
    {
      "asks.ts": `import { definePlugin } from "sluice/plugin";
import { z } from "zod";
export default definePlugin({
  apiVersion: 1, name: "asks", description: "Takes part in the start.", schema: z.strictObject({}),
  async setup() {
    await fetch("http://127.0.0.1:${server.port}/" + process.pid);
    return { handle: (c, next) => next() };
  },
});
`,
    },
  );
  expect(signalled).toBe(true);
  expect(await gateway.line(({ msg }) => msg === "reloaded")).toMatchObject({ trigger: "SIGHUP" });
  expect((await fetch(`http://${gateway.listener()}/`)).status).toBe(204);
  gateway.signal("SIGTERM");
  expect(await gateway.exited).toBe(0);
});

test("no module is compiled to machine code for the sake of its one run", async () => {
  // A long loop at the top level of one module is one in the function that all of them are: 1.5 MB of code, 25 ms of a core.
  const { stderr } = await runBinary(["version"], "/", {
    ...{ BUN_JSC_useConcurrentJIT: "0", BUN_JSC_reportBaselineCompileTimes: "1" },
  });
  const compiled = stderr.split("\n").filter((line) => line.startsWith("Optimized "));
  expect(compiled).not.toBeEmpty();
  expect(compiled.filter((line) => line.includes("LLIntModule"))).toEqual([]);
});
