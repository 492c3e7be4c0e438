import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GRPC_HEADERS, runH2load } from "../load/h2load.ts";
import { framed } from "../origins/grpc-messages.ts";
import type { Case } from "../scenario.ts";
import { throughputOf } from "./costs.ts";

const CONNECTIONS = 8;
const CALLS = 8;

/** Calls of one method, 64 at a time. @param bytes of a right answer's DATA frames */
export function grpcCase(name: string, path: string, message: Uint8Array, bytes: number): Case {
  return {
    name,
    async measure(target, seconds) {
      const dir = mkdtempSync(join(tmpdir(), "sluice-bench-"));
      const body = join(dir, "message");
      try {
        writeFileSync(body, framed(message));
        const { sample, command } = await throughputOf(target, () =>
          runH2load({
            port: target.port,
            path,
            connections: CONNECTIONS,
            streams: CALLS,
            seconds,
            body,
            headers: GRPC_HEADERS,
            expectBytesEach: bytes,
          }),
        );
        return { sample, command: command.replaceAll(dir, "$DIR") };
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  };
}
