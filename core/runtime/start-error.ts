import type { Problem } from "../../config/index.ts";

/** The gateway cannot start, or a reload cannot take effect. One line says why; `problems` have places. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[] = [], options?: ErrorOptions) {
    super(message, options);
    this.problems = problems;
  }
}
