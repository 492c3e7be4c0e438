import { describe, expect, test } from "bun:test";
import { EXIT } from "./command.ts";
import { COMMANDS } from "./index.ts";
import { PLAIN, said } from "./test-terminal.ts";

/* What every command line has in common: help, mistakes, exit codes. */

const names = COMMANDS.map(({ name }) => name);

test("no command is a wrong command line, whose answer is the overview", async () => {
  const { code, out, err } = await said([]);
  expect([code, err]).toEqual([EXIT.usage, ""]);
  expect(out).toStartWith("usage: sluice COMMAND [OPTIONS]\n\n  run       runs the gateway;");
  for (const { name, summary } of COMMANDS) expect(out).toContain(`\n  ${name.padEnd(8)}  ${summary}\n`);
});

test.each([["help"], ["--help"], ["-h"]])("%s is the overview", async (word) => {
  expect(await said([word])).toEqual({ code: EXIT.ok, out: (await said([])).out, err: "" });
});

describe.each(COMMANDS.map((command) => [command.name, command] as const))("%s", (name, command) => {
  test("--help, -h and help show usage, summary and every option", async () => {
    const { code, out, err } = await said([name, "--help"]);
    expect([code, err]).toEqual([EXIT.ok, ""]);
    expect(out).toStartWith(`sluice ${command.usage}\n\n  ${command.summary}`);
    for (const [option, { short, meaning }] of Object.entries(command.options)) {
      const flags = short === undefined ? `--${option}` : `-${short}, --${option}`;
      expect(out).toMatch(new RegExp(`^  ${flags}( \\S.*?)?  +${RegExp.escape(meaning)}$`, "m"));
      // An option that the usage does not name is not found.
      expect(command.usage).toMatch(new RegExp(`--${option}\\b|-${short ?? "-"}\\b`));
    }
    expect(await said([name, "-h"])).toEqual({ code, out, err });
    expect(await said(["help", name])).toEqual({ code, out, err });
    expect(await said([name, "x", "--x", "--help"])).toEqual({ code, out, err });
  });

  test("an unknown option is refused with the command's usage, and nothing is done", async () => {
    expect(await said([name, "--nonsense"])).toEqual({
      code: EXIT.usage,
      out: "",
      err: `sluice ${name}: unknown option --nonsense\nusage: sluice ${command.usage}`,
    });
  });

  test("a word too many is refused", async () => {
    const { code, out, err } = await said([name, "GET", "/", "surplus"]);
    expect([code, out]).toEqual([EXIT.usage, ""]);
    expect(err).toMatch(/^sluice \S+: unexpected argument "(GET|\/|surplus)"\nusage: sluice /);
  });
});

test("--help of explain, to the letter", async () => {
  expect((await said(["explain", "--help"])).out)
    .toBe(`sluice explain [-c FILE] METHOD URL [-H 'name: value']...

  shows which route a request takes and why, its steps in order, and its upstream

  -c, --config FILE           the configuration, sluice.yaml by default
  -H, --header 'name: value'  a header field of the request; host is one of them`);
});

test.each([
  ["validat", "validate"],
  ["Explain", "explain"],
  ["helth", "health"],
  ["valid", "validate"],
])("the unknown command %s suggests %s", async (word, meant) => {
  for (const args of [[word], ["help", word]]) {
    const { code, out, err } = await said(args);
    expect([code, out]).toEqual([EXIT.usage, ""]);
    expect(err).toStartWith(
      `sluice: there is no command "${word}" (did you mean "${meant}"?)\n\nusage: sluice`,
    );
  }
});

test.each([["frobnicate"], ["--"], ["-x"], [""], ["constructor"]])(
  "the unknown command %p suggests nothing",
  async (word) => {
    const { code, err } = await said([word]);
    expect(code).toBe(EXIT.usage);
    expect(err).toStartWith(`sluice: there is no command "${word}"\n\nusage: sluice COMMAND`);
  },
);

test.each([
  [["validate", "--confg", "x"], 'unknown option --confg (did you mean "--config"?)'],
  [["validate", "--confg=x"], 'unknown option --confg (did you mean "--config"?)'],
  [["validate", "-x"], "unknown option -x"],
  [["version", "--jsn"], 'unknown option --jsn (did you mean "--json"?)'],
  [["version", "--hlep"], 'unknown option --hlep (did you mean "--help"?)'],
  [["validate", "-c"], "option '-c, --config <value>' argument missing"],
  [["validate", "-c", "-x"], "option '-c' argument missing"],
  [["version", "--json=yes"], "option '--json' does not take an argument"],
  [["explain", "GET"], "expected METHOD and URL"],
  [["explain"], "expected METHOD and URL"],
  [["health", "--url", "nonsense"], 'expected an http or https URL, got "nonsense"'],
  [["health", "--url", "ftp://a/"], 'expected an http or https URL, got "ftp://a/"'],
])("%j is refused", async (args, message) => {
  const { code, out, err } = await said(args);
  expect([code, out]).toEqual([EXIT.usage, ""]);
  expect(err.split("\n")).toEqual([
    `sluice ${args[0]}: ${message}`,
    expect.stringMatching(/^usage: sluice /),
  ]);
});

test("--version is the command of that name", async () => {
  expect(await said(["--version"])).toEqual(await said(["version"]));
});

test("a defect is shown with its stack and has a code of its own", async () => {
  const { code, out, err } = await said(["plugins"], {
    out() {
      throw new TypeError("a defect");
    },
  });
  expect([code, out]).toEqual([70, ""]);
  expect(err).toMatch(/^sluice: TypeError: a defect\n +at /);
});

test("exit codes are those of the README, each its own", () => {
  // scripts/readme.test.ts holds the README's table to them.
  expect(EXIT).toEqual({ ok: 0, failed: 1, usage: 2, cannotStart: 3, cut: 4, defect: 70 });
});

test("names are words of their own: none is the beginning of another", () => {
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(names.filter((other) => other.startsWith(name))).toEqual([name]);
});

test("nothing that is said to a pipe or a terminal has colours", async () => {
  for (const args of [[], ["help"], ["plugins"], ["version"], ["schema"], ["nonsense"], ["validate"]]) {
    const { out, err } = await said(args, {
      env: { FORCE_COLOR: "1", TERM: "xterm-256color" },
      builtins: [PLAIN],
    });
    expect(out + err).not.toContain("\u001b");
  }
});
