import { statSync } from "node:fs";
import { open } from "node:fs/promises";

/** A file that cannot be used; the message is a half-sentence such as "no such file". */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** Bytes; most configurations fit. */
const LEAST_BUFFER = 16_384;

/** Reads a UTF-8 file of at most `limit` bytes. @throws FileError */
export async function readTextFile(path: string, limit: number): Promise<string> {
  return decode(await readBytes(path, limit));
}

async function readBytes(path: string, limit: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, "r");
    const stats = await file.stat();
    if (stats.isDirectory()) throw new FileError("it is a directory");
    // A pipe or a device might never end; /proc and secrets mounted by a kubelet are files of size 0 or links to files.
    if (!stats.isFile()) throw new FileError("it is not a file");
    // Not of `limit` at once: a buffer of megabytes would have garbage collected in the middle of the start. A file that
    // grows meanwhile, or says that it is empty (/proc), is larger than its size.
    let buffer = new Uint8Array(Math.max(LEAST_BUFFER, Math.min(stats.size, limit) + 1));
    let length = 0;
    while (length <= limit) {
      if (length === buffer.length) buffer = longer(buffer);
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
    }
    throw new FileError(`it is larger than ${limit} bytes`);
  } catch (error) {
    throw error instanceof FileError ? error : new FileError(reasonOf(error), { cause: error });
  }
}

function longer(buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const twice = new Uint8Array(buffer.length * 2);
  twice.set(buffer);
  return twice;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new FileError("it is not UTF-8 text", { cause: error });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
  ERR_INVALID_ARG_VALUE: "the name is none that a file can have",
};

/** What a failed system call means, without the path that the platform's message repeats. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return (code === undefined ? undefined : REASONS[code]) ?? code ?? "it cannot be read";
}

/** What there is under a path; undefined for nothing, and for what may not be looked at. */
export function kindAt(path: string): "file" | "directory" | "other" | undefined {
  try {
    const stats = statSync(path);
    if (stats.isFile()) return "file";
    return stats.isDirectory() ? "directory" : "other";
  } catch {
    return undefined;
  }
}
