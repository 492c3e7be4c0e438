import { type AnyPlugin, definePlugin } from "sluice/plugin";
import { z } from "zod";
import type { Terminal } from "./command.ts";
import { runCommandLine } from "./index.ts";

/** A plugin with every kind of option that `plugins` shows. */
export const SAMPLE: AnyPlugin = definePlugin({
  apiVersion: 1,
  name: "sample",
  description: "Shows its options.",
  schema: z.strictObject({
    word: z.string().describe("A word."),
    mode: z.enum(["fast", "slow"]).default("fast").describe("How."),
    limits: z
      .strictObject({ size: z.number().optional().describe("How many.") })
      .optional()
      .describe("Bounds."),
    names: z.array(z.string()).default([]).describe("Who."),
    off: z
      .union([z.string(), z.literal(false)])
      .default(false)
      .describe("A word or nothing."),
  }),
  setup: () => ({ handle: (_c, next) => next() }),
});

export const PLAIN: AnyPlugin = definePlugin({
  apiVersion: 1,
  name: "plain",
  description: "Has no options.",
  schema: z.strictObject({}),
  setup: () => ({ handle: (_c, next) => next() }),
});

/** What a command line said and how it ended. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process; `facts` replace those of the terminal. */
export async function said(args: readonly string[], facts: Partial<Terminal> = {}): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    env: {},
    cwd: "/",
    builtins: [SAMPLE, PLAIN],
    ...facts,
  };
  const code = await runCommandLine(args, terminal);
  return { code, out: out.join("\n"), err: err.join("\n") };
}
