// Exit code 0 when node_modules holds exactly what package-lock.json asks of this machine, 1 otherwise.
// Plain JavaScript: it runs on Node before there is a Bun.
import { existsSync, readFileSync } from "node:fs";

/** @param {string} path @returns {Record<string, { version?: string, optional?: boolean }>} */
function packagesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

/** npm leaves a copy of the lock of what it installed; optional packages of other platforms are not in it. */
const record = "node_modules/.package-lock.json";

function isCurrent() {
  if (!existsSync(record)) return false;
  const installed = packagesOf(record);
  return Object.entries(packagesOf("package-lock.json")).every(([path, wanted]) => {
    if (path === "") return true;
    const found = installed[path];
    if (found === undefined) return wanted.optional === true;
    return found.version === wanted.version && existsSync(path);
  });
}

process.exitCode = isCurrent() ? 0 : 1;
