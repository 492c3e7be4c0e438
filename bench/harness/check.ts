import { EDGE_HEADERS, EDGE_REQUEST_HEADER } from "../edge.ts";
import { FILL } from "../origins/http-origin.ts";

/** Milliseconds that one answer may take. */
const PATIENCE = 5_000;

/** Asks once, and throws where the answer is not a 200 with exactly this body. */
export async function expectAnswer(
  port: number,
  path: string,
  expected: Uint8Array,
  init: RequestInit = {},
): Promise<Response> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...init,
    signal: AbortSignal.timeout(PATIENCE),
  });
  const body = await answer.bytes();
  if (answer.status !== 200 || Buffer.compare(body, expected) !== 0)
    throw new Error(`${path} was answered with ${answer.status} and ${body.byteLength} bytes`);
  return answer;
}

/** Throws where the HTTP origin's answer is not the one of so many bytes. */
export async function expectBody(port: number, path: string, bytes: number): Promise<void> {
  await expectAnswer(port, path, Buffer.alloc(bytes, FILL));
}

/** As {@link expectBody}, and where a contender's answer, or its request to the origin, lacks what the pipeline adds. */
export async function expectEdge(
  port: number,
  path: string,
  bytes: number,
  contender: string,
): Promise<void> {
  const { headers } = await expectAnswer(port, path, Buffer.alloc(bytes, FILL));
  if (contender === "direct") return;
  for (const [name, value] of EDGE_HEADERS)
    if (headers.get(name) !== value) throw new Error(`${name}: ${headers.get(name) ?? "missing"}`);
  if ((headers.get("x-request-id") ?? "") === "") throw new Error("no x-request-id");
  const asked = await fetch(`http://127.0.0.1:${port}/asked`, { signal: AbortSignal.timeout(PATIENCE) });
  const expected = `${EDGE_REQUEST_HEADER[1]} ${asked.headers.get("x-request-id") ?? ""}`;
  const came = await asked.text();
  if (came !== expected) throw new Error(`the origin was asked with "${came}" rather than "${expected}"`);
}

/** Throws where an event stream does not end after so many events. */
export async function expectEvents(port: number, path: string, events: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(PATIENCE) });
  const text = await answer.text();
  const count = text.split("\n\n").length - 1;
  const type = answer.headers.get("content-type");
  if (answer.status !== 200 || type !== "text/event-stream" || count !== events)
    throw new Error(`${path} was answered with ${answer.status}, ${type ?? "no type"} and ${count} events`);
}
