import { chunked, LARGEST, slice, sum } from "./byte-pool.ts";

/** One request to a `CheckingUpstream`, and what must come of it. */
export interface RandomRequest {
  readonly method: string;
  readonly head: Uint8Array;
  /** As it is sent: chunked where the head says so. */
  readonly body: Uint8Array;
  readonly status: number;
  /** What the upstream must have read. */
  readonly requestSum: string;
  /** What the client must read. */
  readonly answerSum: string;
  /** The upstream breaks the answer off. */
  readonly isCut: boolean;
  /** Whether the body is held back until `100 Continue` (RFC 9110 §10.1.1). */
  readonly waits: boolean;
  /** Where the client leaves; undefined where it stays. */
  readonly leaves: "in the body" | "before the answer" | "in the answer" | undefined;
}

/** A random whole number below the bound. */
export type Dice = (below: number) => number;

const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const STATUSES = [200, 200, 200, 200, 201, 204, 304, 404, 500] as const;
const MODES = ["length", "length", "chunked", "chunked", "open"] as const;
const LEAVES = ["in the body", "before the answer", "in the answer"] as const;

/** @param alone not sent together with others: it may break off, wait and be large. */
export function rollRequest(dice: Dice, alone: boolean): RandomRequest {
  const method = pick(dice, METHODS);
  const rare = (oneIn: number): boolean => alone && dice(oneIn) === 0;
  const isCut = rare(100) && method !== "HEAD";
  const status = isCut ? 200 : pick(dice, STATUSES);
  const answer = randomSlice(dice, alone, isCut ? 1_000 : 0);
  const hasAnswerBody = method !== "HEAD" && status !== 204 && status !== 304;
  const mode = isCut ? "cut" : pick(dice, MODES);
  const target = `/r?status=${status}&off=${answer.offset}&n=${answer.bytes.byteLength}&as=${mode}&sizes=${sizes(dice).join("-")}`;

  const hasBody = method.startsWith("P") || dice(20) === 0;
  const { bytes } = hasBody ? randomSlice(dice, alone, 0) : { bytes: new Uint8Array() };
  const isChunked = hasBody && dice(2) === 0;
  const waits = bytes.byteLength > 0 && rare(100);
  const requestSum = sum(bytes);
  let head = `${method} ${target} HTTP/1.1\r\nHost: soak\r\nX-Sum: ${requestSum}\r\n`;
  for (let i = dice(4); i > 0; i--) head += `X-Field-${i}: ${"v".repeat(dice(200))}\r\n`;
  if (isChunked) head += "Transfer-Encoding: chunked\r\n";
  else if (hasBody) head += `Content-Length: ${bytes.byteLength}\r\n`;
  if (waits) head += "Expect: 100-continue\r\n";
  return {
    method,
    head: Buffer.from(`${head}\r\n`),
    body: isChunked ? chunked(bytes, sizes(dice), dice(3) === 0 ? "X-Trailer: yes\r\n" : "") : bytes,
    ...{ status, requestSum, isCut, waits },
    answerSum: sum(hasAnswerBody ? answer.bytes : new Uint8Array()),
    leaves: !isCut && rare(60) ? pick(dice, LEAVES) : undefined,
  };
}

/** Mostly small, sometimes a megabyte. */
function randomSlice(dice: Dice, alone: boolean, atLeast: number): { offset: number; bytes: Uint8Array } {
  const size = dice(100);
  const below = !alone || size < 70 ? 1_024 : size < 90 ? 16_384 : size < 99 ? 131_072 : LARGEST - atLeast;
  const offset = dice(3 << 20);
  return { offset, bytes: slice(offset, atLeast + dice(below)) };
}

function sizes(dice: Dice): number[] {
  return Array.from({ length: dice(6) }, () => 1 + dice(dice(2) === 0 ? 16 : 20_000));
}

function pick<T>(dice: Dice, among: readonly T[]): T {
  return among[dice(among.length)]!;
}
