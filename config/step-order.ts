import type { StepConfig } from "./types.ts";

/** An order of two steps that is almost surely a mistake. */
interface OrderRule {
  readonly above: string;
  readonly below: string;
  /** Looks at the options of the step above; the rule holds for all without it. */
  readonly onlyIf?: (options: unknown) => boolean;
  readonly why: string;
}

const RULES: readonly OrderRule[] = [
  { above: "cache", below: "auth", why: "stored answers go out before anybody asked who is calling" },
  {
    above: "cache",
    below: "compress",
    why: "answers are stored compressed, for whatever encoding came first",
  },
  { above: "auth", below: "cors", why: "preflights carry no credential and are refused" },
  {
    above: "rate-limit",
    below: "auth",
    onlyIf: countsCallers,
    why: "nobody is known yet, so that everybody is counted by address",
  },
  {
    above: "budget",
    below: "auth",
    onlyIf: countsCallers,
    why: "nobody is known yet, so that everybody is counted by address",
  },
];

/** Words for each pair of steps in an order that is almost surely a mistake. */
export function orderMistakes(
  steps: readonly StepConfig[],
): { readonly step: StepConfig; readonly message: string }[] {
  const mistakes: { step: StepConfig; message: string }[] = [];
  for (const rule of RULES) {
    const first = steps.findIndex(
      (step) => step.plugin === rule.above && (rule.onlyIf === undefined || rule.onlyIf(step.options)),
    );
    if (first < 0) continue;
    const second = steps.findIndex((step, index) => index > first && step.plugin === rule.below);
    if (second < 0) continue;
    const message = `${rule.above} stands above ${rule.below}: ${rule.why}`;
    mistakes.push({ step: steps[first]!, message });
  }
  return mistakes;
}

function countsCallers(options: unknown): boolean {
  const by = typeof options === "object" && options !== null && "by" in options ? options.by : undefined;
  return by === "consumer" || by === "tenant";
}
