import { createHash } from "node:crypto";
import { LARGEST, slice } from "./byte-pool.ts";

/* What is asked of every pair of client and upstream, whoever they are. Runs on Bun and on Node. */

/** One byte over a megabyte: curl asks for leave (`Expect: 100-continue`) from there on. */
export const LARGE: Uint8Array = slice(0, LARGEST + 1);
export const SMALL = "small\n";
export const ETAG = '"small"';

export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** {@link LARGE} with its length, or in pieces without; undefined for no body. */
  readonly body: "sized" | "unsized" | undefined;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

/** What the upstream read of an upload, as JSON. */
export interface Upload {
  readonly bytes: number;
  readonly sum: string;
  readonly length: string | undefined;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

/** Who stands between, and what they leave out. */
export interface Way {
  /** Trailers of answers pass. */
  readonly trailers: boolean;
  /** The client sends trailers, and they pass. */
  readonly requestTrailers: boolean;
}

export interface Check {
  readonly name: string;
  readonly ask: Ask;
  /** What is wrong, or undefined. */
  judge(answer: Answer, way: Way): string | undefined;
}

export function sumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const ask = (method: string, path: string, headers = {}, body?: Ask["body"]): Ask => {
  return { method, path, headers, body };
};
const differs = (what: string, got: unknown, wanted: unknown): string | undefined =>
  got === wanted ? undefined : `${what} is ${String(got)} instead of ${String(wanted)}`;
const text = ({ body }: Answer): string => Buffer.from(body).toString();

function judgeUpload(answer: Answer, length: string | undefined): string | undefined {
  if (answer.status !== 200) return differs("the status", answer.status, 200);
  const upload = JSON.parse(text(answer)) as Upload;
  return (
    differs("the upstream's count", upload.bytes, LARGE.byteLength) ??
    differs("the upstream's hash", upload.sum, sumOf(LARGE)) ??
    differs("the upstream's content-length", upload.length, length)
  );
}

export const CHECKS: readonly Check[] = [
  {
    name: "small GET",
    ask: ask("GET", "/small"),
    judge: (answer) =>
      differs("the status", answer.status, 200) ??
      differs("the body", text(answer), SMALL) ??
      differs("content-length", answer.headers["content-length"], String(SMALL.length)),
  },
  {
    name: "answer of 1 MB",
    ask: ask("GET", "/large"),
    judge: (answer) =>
      differs("the hash", sumOf(answer.body), sumOf(LARGE)) ??
      differs("content-length", answer.headers["content-length"], String(LARGE.byteLength)),
  },
  {
    name: "upload of 1 MB",
    ask: ask("POST", "/sum", {}, "sized"),
    judge: (answer) => judgeUpload(answer, String(LARGE.byteLength)),
  },
  {
    name: "upload without a length",
    ask: ask("POST", "/sum", {}, "unsized"),
    judge: (answer, { requestTrailers }) =>
      judgeUpload(answer, undefined) ??
      (requestTrailers
        ? differs("the upstream's trailer", (JSON.parse(text(answer)) as Upload).trailers["x-end"], "yes")
        : undefined),
  },
  {
    name: "HEAD",
    ask: ask("HEAD", "/small"),
    judge: (answer) =>
      differs("the status", answer.status, 200) ??
      differs("the body", text(answer), "") ??
      differs("content-length", answer.headers["content-length"], String(SMALL.length)),
  },
  {
    name: "304",
    ask: ask("GET", "/small", { "if-none-match": ETAG }),
    judge: (answer) =>
      differs("the status", answer.status, 304) ??
      differs("the body", text(answer), "") ??
      differs("etag", answer.headers["etag"], ETAG),
  },
  {
    name: "204",
    ask: ask("GET", "/none"),
    judge: (answer) => differs("the status", answer.status, 204) ?? differs("the body", text(answer), ""),
  },
  {
    name: "answer without a length, with trailers",
    ask: ask("GET", "/trailers", { te: "trailers" }),
    judge: (answer, { trailers }) =>
      differs("the hash", sumOf(answer.body), sumOf(LARGE)) ??
      (trailers ? differs("the trailer", answer.trailers["x-sum"], sumOf(LARGE)) : undefined),
  },
];

/** What is wrong with the answers to all of {@link CHECKS}, over how many connections. Nothing, if it is all right. */
export function judgeAll(answers: readonly Answer[], connections: number, way: Way): string[] {
  const wrong = CHECKS.flatMap(({ name, judge }, i) => {
    const flaw = answers[i] === undefined ? "no answer" : judge(answers[i], way);
    return flaw === undefined ? [] : [`${name}: ${flaw}`];
  });
  const reused = new Set(answers.map(({ headers }) => headers["x-connection"]));
  if (connections !== 1) wrong.push(`keep-alive: the client needed ${connections} connections`);
  if (reused.size !== 1) wrong.push(`keep-alive: the upstream saw connections ${[...reused].join(", ")}`);
  return wrong;
}
