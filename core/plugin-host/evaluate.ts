import { createRequire } from "node:module";
import { dirname } from "node:path";
import { NOTING_ERRORS } from "./attribution.ts";
import { HOST_REQUIRE } from "./bundle.ts";
import { HOST_MODULE_NAMES, hostModule } from "./host-modules.ts";

type Wrapper = (hostModule: (name: string) => object, ...errors: unknown[]) => ModuleFunction;
type ModuleFunction = (
  exports: object,
  require: (name: string) => unknown,
  module: { exports: unknown },
  filename: string,
  dirname: string,
) => void;

/**
 * Runs a bundle and answers its `module.exports`. It sees the native error classes as {@link NOTING_ERRORS}
 * and the host's modules as the host has them. Whatever it throws is thrown on.
 */
export function evaluate(code: string, path: string, url: string): unknown {
  // The line breaks of the bundle stay as they are, so that its source map fits.
  const wrapped = `(function(${[HOST_REQUIRE, ...Object.keys(NOTING_ERRORS)].join()}){return (${code}\n)})\n//# sourceURL=${url}`;
  // oxlint-disable-next-line no-eval -- to run an operator's file is what this is for; indirect, so in global scope
  const wrapper = (0, eval)(wrapped) as Wrapper;
  const run = wrapper(hostModule, ...Object.values(NOTING_ERRORS));
  const fromDisk = createRequire(path);
  // What is left of `require` in a bundle: the runtime's own modules, and names that are computed.
  const require = (name: string): unknown =>
    HOST_MODULE_NAMES.has(name) ? hostModule(name) : fromDisk(name);
  const module = { exports: {} as unknown };
  run(
    module.exports as object,
    Object.assign(require, { resolve: fromDisk.resolve }),
    module,
    path,
    dirname(path),
  );
  return module.exports;
}
