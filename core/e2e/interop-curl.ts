import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDir } from "../testing/temporary-dir.ts";
import { type Answer, type Check, CHECKS, judgeAll, LARGE, type Way } from "./interop-checks.ts";

/** All of the checks by curl, one after the other. @param flags which HTTP it speaks. Answers what is wrong. */
export async function checkWithCurl(
  origin: string,
  prefix: string,
  flags: readonly string[],
  way: Way,
): Promise<string[]> {
  using dir = temporaryDir({ large: LARGE });
  const transfer = ({ ask: { method, path, headers, body } }: Check, i: number): string[] => [
    ...["-sS", "-m", "10", ...flags],
    ...["-o", join(dir.path, `body${i}`), "-D", join(dir.path, `head${i}`)],
    ...["-w", "%{num_connects} %{http_version}\n"],
    ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
    // RFC 9110 §10.1.4: `TE` is for the next hop, and says so.
    ...(headers["te"] === undefined ? [] : ["-H", "connection: TE"]),
    ...(method === "HEAD" ? ["-I"] : ["-X", method]),
    // From stdin it does not know the length.
    ...(body === undefined ? [] : ["-T", body === "sized" ? join(dir.path, "large") : "-"]),
    origin + prefix + path,
  ];
  const transfers = CHECKS.map(transfer);
  // curl 7.88 cannot use a connection again that began with prior knowledge of HTTP/2: a process for each.
  const isAlone = flags.includes("--http2-prior-knowledge");
  const runs = isAlone ? transfers : [transfers.flatMap((args, i) => (i === 0 ? args : ["--next", ...args]))];
  const stats: string[][] = [];
  for (const args of runs) {
    const child = Bun.spawn(["curl", ...args], { stdin: LARGE, stdout: "pipe", stderr: "pipe" });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) return [errors];
    stats.push(
      ...out
        .trimEnd()
        .split("\n")
        .map((line) => line.split(" ")),
    );
  }
  const answers = CHECKS.map(({ ask }, i) => readAnswer(dir.path, i, ask.method !== "HEAD"));
  const connections = isAlone ? 1 : stats.reduce((sum, [count]) => sum + Number(count), 0);
  const wanted = flags.includes("--http1.1") ? "1.1" : "2";
  const versions = stats.flatMap(([, version = ""]) =>
    version === wanted ? [] : [`it spoke HTTP/${version}`],
  );
  return [...versions, ...judgeAll(answers, connections, way)];
}

/** curl's dump of a head holds informational heads before it and trailers behind it. */
function readAnswer(dir: string, i: number, hasBody: boolean): Answer {
  const blocks = readFileSync(join(dir, `head${i}`), "latin1").split("\r\n\r\n");
  const at = blocks.findLastIndex((block) => /^HTTP\/\S+ [2-5]/.test(block));
  const fieldsOf = (block: string): Record<string, string> =>
    Object.fromEntries(
      block.split("\r\n").flatMap((line) => {
        const colon = line.indexOf(":");
        return colon < 0 ? [] : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const];
      }),
    );
  return {
    status: Number(blocks[at]?.split(" ")[1]),
    headers: fieldsOf(blocks[at] ?? ""),
    body: hasBody ? readBody(join(dir, `body${i}`)) : new Uint8Array(0),
    trailers: fieldsOf(blocks.slice(at + 1).join("\r\n")),
  };
}

/** curl writes no file where nothing came. */
function readBody(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch {
    return new Uint8Array(0);
  }
}
