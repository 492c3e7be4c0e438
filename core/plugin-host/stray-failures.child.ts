/*
 * A process of its own for stray-failures.test.ts: the test runner would take the failures for its own. Runs the
 * plugin named on the command line in a gateway, sends it one request for each path, all at once, and prints what
 * the observer was told (one JSON line a failure) and how each request was answered.
 */
import { createTestServices, fakeUpstream, startPlugin } from "sluice/testing";
import { loadExternal } from "./load-external.ts";
import { createRegistry } from "./registry.ts";
import { installStrayFailureHandlers } from "./stray-failures.ts";

const [file, ...paths] = process.argv.slice(2) as [string, ...string[]];
// A path says how many failures it causes: /name/2, or one.
let owed = paths.reduce((sum, path) => sum + Number(path.split("/")[2] ?? 1), 0);
const allFailed = Promise.withResolvers<void>();
if (owed === 0) allFailed.resolve();
// Under way until all are there: then the plugin may fail, with every request inside it.
const upstream = await fakeUpstream(async () => {
  await allFailed.promise;
  return new Response("ok");
});
const allInside = upstream.received(paths.length);

installStrayFailureHandlers({
  strayFailure(plugin, error, exchange) {
    const message = error instanceof Error ? error.message : String(error);
    const frame = error instanceof Error ? /at .*?([\w.-]+\.ts:\d+)/.exec(error.stack ?? "")?.[1] : undefined;
    print({ plugin, message, frame, request: exchange?.request.headers.get("x-number") });
    if (--owed === 0) allFailed.resolve();
  },
});

const loaded = await loadExternal(file);
const registry = createRegistry([]);
registry.add("stray", loaded.definition);
const services = createTestServices();
// The plugin waits for this time before it fails.
void allInside.then(() => services.clock.advance(1_000));
const running = await startPlugin(registry.get("stray")!, {}, { upstream, services });
const answers = paths.map(async (path, number) => {
  const answer = await running.request({ path, headers: { "x-number": String(number) } });
  const text = await answer.text();
  const { error } = (answer.status === 200 ? {} : JSON.parse(text)) as {
    error?: { code: string; reason: string };
  };
  return { answered: number, status: answer.status, code: error?.code, reason: error?.reason };
});
for (const answer of await Promise.all(answers)) print(answer);
process.exit(0);

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
