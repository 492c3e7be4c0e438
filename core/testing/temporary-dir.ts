import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A directory that is gone when its scope ends, however that ends: `using dir = temporaryDir()`. */
export interface TemporaryDir extends Disposable {
  readonly path: string;
  /** Writes a file, with the folders above it; answers its absolute path. */
  write(name: string, content: string | Uint8Array): string;
}

/** Makes a directory under the system's temporary one, holding `files`. */
export function temporaryDir(files: Readonly<Record<string, string | Uint8Array>> = {}): TemporaryDir {
  const path = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const dir: TemporaryDir = {
    path,
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
  for (const [name, content] of Object.entries(files)) dir.write(name, content);
  return dir;
}
