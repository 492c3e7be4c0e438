import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readDocument } from "./document.ts";
import { check, configOf, filesIn } from "./testing/check.ts";

const UPSTREAM = "upstreams: { web: { targets: ['http://127.0.0.1:9000'] } }\n";
const ROUTES = "routes: [{ upstream: web }]\n";
const MINIMAL = `version: 1\n${UPSTREAM}${ROUTES}`;

describe("includes", () => {
  test("lists of included files come first, in order; maps are put together", async () => {
    const config = await configOf({
      "main.yaml": `version: 1
include: [a.yaml, b.yaml]
trusted_proxies: [10.0.0.3]
upstreams: { main: { targets: ["http://127.0.0.1:1"] } }
routes: [{ name: last, upstream: main }]
`,
      "a.yaml": `trusted_proxies: [10.0.0.1]
upstreams: { a: { targets: ["http://127.0.0.1:2"] } }
routes: [{ name: first, match: { path: /a/* }, upstream: a }]
`,
      "b.yaml": `version: 1
include: c.yaml
log: { level: warn }
`,
      "c.yaml": `upstreams: { c: { targets: ["http://127.0.0.1:3"] } }
routes: [{ name: second, match: { path: /c/* }, upstream: c }]
trusted_proxies: [10.0.0.2]
`,
    });
    expect(config.routes.map(({ name }) => name)).toEqual(["first", "second", "last"]);
    expect(config.upstreams.map(({ name }) => name)).toEqual(["a", "c", "main"]);
    expect(config.trustedProxies).toEqual(["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]);
    expect(config.log.level).toBe("warn");
    expect(config.files.map((file) => file.split("/").at(-1))).toEqual([
      "main.yaml",
      "a.yaml",
      "b.yaml",
      "c.yaml",
    ]);
  });

  test("an interpolation names the file to include, and paths are relative to the file that holds them", async () => {
    await using directory = await filesIn({ "main.yaml": `include: [ "\${PART}/part.yaml" ]\n${MINIMAL}` });
    await mkdir(join(directory.path, "sub"));
    await writeFile(
      join(directory.path, "sub/part.yaml"),
      'admin: { address: "unix:./admin.sock", token: "${file:token}" }',
    );
    await writeFile(join(directory.path, "sub/token"), "0123456789\n");
    const document = await readDocument(join(directory.path, "main.yaml"), { PART: "sub" });
    expect(document.problems).toEqual([]);
    expect(document.files.slice(1)).toEqual(
      ["part.yaml", "token"].map((name) => join(directory.path, "sub", name)),
    );
  });

  test("names are not called unknown while a file is missing", async () => {
    const { lines } = await check(
      `include: [gone.yaml]\nversion: 1\nroutes: [{ upstream: elsewhere, pipeline: [theirs, { use: edge }] }]\n`,
    );
    expect(lines).toEqual(['main.yaml:1:11: include[0]: cannot include "gone.yaml": no such file']);
  });
});

describe("interpolation", () => {
  test("what was interpolated is a number or a truth value where one is wanted, and text where text is", async () => {
    const config = await configOf(
      `version: 1
admin: { token: "\${DIGITS}" }
log: { access: "\${NO}" }
listeners: [{ address: "127.0.0.1:\${PORT:-8080}", limits: { header_count: "\${N}", url: "\${N}KiB", body: "\${N}" } }]
shutdown_timeout: \${N}s
upstreams:
  web:
    targets: [{ url: "http://\${HOST}:9000", weight: "\${WEIGHT:-2.5}" }]
    pool: { max_connections: "\${N:-9}" }
routes:
  - match: { header: { x-version: "\${N}" } }
    upstream: "\${NAME:-web}"
`,
      { env: { DIGITS: "0012345", NO: "false", N: "5", HOST: "127.0.0.1" } },
    );
    expect(config.admin?.token).toBe("0012345");
    expect(config.log.access).toBe(false);
    expect(config.listeners[0]?.address).toEqual({ kind: "tcp", host: "127.0.0.1", port: 8080 });
    expect(config.listeners[0]?.limits).toMatchObject({ headerCount: 5, url: 5_120, body: 5 });
    expect(config.shutdownTimeout).toBe(5_000);
    expect(config.upstreams[0]?.targets[0]).toMatchObject({ host: "127.0.0.1", weight: 2.5 });
    expect(config.upstreams[0]?.pool.maxConnections).toBe(5);
    expect(config.routes[0]?.match.headers).toEqual([["x-version", "5"]]);
  });

  test("a literal ${ is written as $${", async () => {
    const config = await configOf(`version: 1\nroutes: [{ respond: { body: "$\${HOME} and $HOME" } }]\n`);
    expect(config.routes[0]?.action).toMatchObject({ body: "${HOME} and $HOME" });
  });

  test("a value behind an alias is interpolated and complained about once", async () => {
    const { lines } = await check(`version: 1
upstreams:
  a: { targets: ["http://127.0.0.1:1"], timeouts: &timeouts { connect: "\${GONE}" } }
  b: { targets: ["http://127.0.0.1:2"], timeouts: *timeouts }
routes: [{ match: { path: /a }, upstream: a }, { upstream: b }]
`);
    expect(lines).toEqual([
      "main.yaml:3:72: upstreams.a.timeouts.connect: the environment variable GONE is not set and has no default",
    ]);
  });
});

describe("files", () => {
  test.each([
    ["a missing file", "nowhere.yaml", "nowhere.yaml:1:1: the file cannot be read: no such file"],
    ["a directory", ".", ".:1:1: the file cannot be read: it is a directory"],
  ])("%s", async (_what, name, line) => {
    await using directory = await filesIn({});
    const { problems, root, complete } = await readDocument(join(directory.path, name), {});
    expect(problems.map(({ place, message }) => `${name}:${place.line}:${place.column}: ${message}`)).toEqual(
      [line],
    );
    expect(root).toBeUndefined();
    expect(complete).toBe(false);
  });

  test("a file that is not UTF-8", async () => {
    await using directory = await filesIn({});
    const file = join(directory.path, "main.yaml");
    await writeFile(file, Uint8Array.of(0x61, 0x3a, 0x20, 0xff));
    expect((await readDocument(file, {})).problems[0]?.message).toBe(
      "the file cannot be read: it is not UTF-8 text",
    );
  });

  test("a file that is too large", async () => {
    const { lines } = await check(`# ${"x".repeat(4 * 1_048_576)}`);
    expect(lines).toEqual(["main.yaml:1:1: the file cannot be read: it is larger than 4194304 bytes"]);
  });

  test("a byte order mark and CRLF do no harm", async () => {
    const config = await configOf(`\ufeff${MINIMAL}`.replaceAll("\n", "\r\n"));
    expect(config.routes.length).toBe(1);
  });

  test("a large configuration is read", async () => {
    const routes = Array.from(
      { length: 5_000 },
      (_, i) => `  - { name: r${i}, match: { path: /r/${i}, method: [GET, HEAD] }, upstream: web }\n`,
    );
    const config = await configOf(`version: 1\n${UPSTREAM}routes:\n${routes.join("")}`);
    expect(config.routes.length).toBe(5_000);
  });
});

describe("third parties' plugins", () => {
  test("names that no file can have are errors", async () => {
    const long = "x".repeat(5_000);
    const { lines } = await check(
      `${MINIMAL}plugins: { a: "./\\0", b: "./${long}.ts", c: "\\0", d: ${long} }\ninclude: ["\\0"]\n`,
    );
    expect(lines.map((line) => line.replace(/^main\.yaml:\d+:\d+: (\S+:).*: /, "$1 "))).toEqual([
      "plugins.a: no such file",
      "plugins.b: no such file",
      "plugins.c: no such package in a node_modules folder above this file",
      "plugins.d: no such package in a node_modules folder above this file",
      "include[0]: the name is none that a file can have",
    ]);
  });

  test("files are relative to the file that names them, packages come from the node_modules above it", async () => {
    await using directory = await filesIn({
      "main.yaml": `${MINIMAL}plugins: { one: ./one.ts, two: "@scope/two", three: "\${DIR}/one.ts" }\n`,
      "one.ts": "export default 1;",
    });
    const folder = join(directory.path, "node_modules/@scope/two");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{ "name": "@scope/two", "main": "./lib.js" }');
    await writeFile(join(folder, "lib.js"), "module.exports = 2;");
    const { externalPlugins, problems } = await readDocument(join(directory.path, "main.yaml"), {
      DIR: directory.path,
    });
    expect(problems).toEqual([]);
    expect(externalPlugins.map(({ name, path }) => [name, path])).toEqual([
      ["one", join(directory.path, "one.ts")],
      ["two", join(folder, "lib.js")],
      ["three", join(directory.path, "one.ts")],
    ]);
    expect(externalPlugins[0]).toMatchObject({ source: "./one.ts", place: { line: 4, column: 17 } });
  });
});
