import { expect, test } from "bun:test";
import { EXIT } from "./command.ts";
import { processTerminal } from "./process-terminal.ts";

/* What is written to descriptors 1 and 2; core/e2e/output.test.ts does it with real ones. */

function refusal(code: string): Error {
  return Object.assign(new Error(`${code}: made up`), { code });
}

/** Descriptors that take at most `atOnce` bytes, and every second time none because they are full. */
function descriptors(atOnce: number, broken?: string) {
  const texts = ["", "", ""];
  let full = false;
  const write = (fd: number, bytes: Uint8Array): number => {
    if (broken !== undefined && fd === 1) throw refusal(broken);
    full = !full;
    if (full) throw refusal("EAGAIN");
    texts[fd] += Buffer.from(bytes.subarray(0, atOnce)).toString("latin1");
    return Math.min(atOnce, bytes.byteLength);
  };
  return { texts, write };
}

test("everything is written, in pieces where the descriptor is full", () => {
  const { texts, write } = descriptors(3);
  const terminal = processTerminal([], write);
  terminal.out("0123456789");
  terminal.err("wröng");
  terminal.out("");
  expect(texts).toEqual(["", "0123456789\n\n", Buffer.from("wröng\n").toString("latin1")]);
  expect(terminal.exitCode(EXIT.ok)).toBe(EXIT.ok);
  expect(terminal.exitCode(EXIT.cut)).toBe(EXIT.cut);
});

test("a reader that has left is no failure", () => {
  const { texts, write } = descriptors(100, "EPIPE");
  const terminal = processTerminal([], write);
  terminal.out("much");
  expect(terminal.exitCode(EXIT.ok)).toBe(EXIT.ok);
  expect(texts[2]).toBe("");
});

test("what cannot be written is a failure, said once; a worse code stays", () => {
  const { texts, write } = descriptors(100, "ENOSPC");
  const terminal = processTerminal([], write);
  terminal.out("one");
  terminal.out("two");
  expect(terminal.exitCode(EXIT.ok)).toBe(EXIT.failed);
  expect(texts[2]).toBe("sluice: the output could not be written: ENOSPC: made up\n");
  expect(terminal.exitCode(EXIT.usage)).toBe(EXIT.usage);
});
