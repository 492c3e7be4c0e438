import * as grpc from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { Agent, request as requestHttp1 } from "node:http";
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { createInterface } from "node:readline";
import { type Answer, type Ask, CHECKS, judgeAll, LARGE, type Way } from "./interop-checks.ts";
import { checkCalls } from "./interop-calls.ts";

/*
 * The clients of interop.test.ts that are Node's own, on Node. A job a line on stdin; for each a line on stdout with
 * what was wrong.
 */

export type Job =
  | { readonly kind: "http1" | "http2"; readonly origin: string; readonly prefix: string; readonly way: Way }
  | {
      readonly kind: "grpc";
      readonly address: string;
      readonly authority: string;
      readonly ca: string | undefined;
    };

type Headers = Record<string, string | undefined>;

/** A piece of the body at a time, and trailers behind it where there is no length. */
const PIECE = 100_000;

async function overHttp1(origin: string, prefix: string, way: Way): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let connections = 0;
  const send = ({ method, path, headers, body }: Ask): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const fields: Record<string, string | number> = { ...headers };
      // RFC 9110 §10.1.4: `TE` is for the next hop, and says so.
      if (headers["te"] !== undefined) fields["connection"] = "TE, keep-alive";
      if (body === "sized") fields["content-length"] = LARGE.byteLength;
      const trails = body === "unsized" && way.requestTrailers;
      if (trails) fields["trailer"] = "x-end";
      const request = requestHttp1(origin + prefix + path, { method, agent, headers: fields }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Headers,
            body: Buffer.concat(pieces),
            trailers: response.trailers,
          }),
        );
      });
      request.on("error", reject);
      request.on("socket", () => {
        if (!request.reusedSocket) connections++;
      });
      if (body !== undefined)
        for (let at = 0; at < LARGE.byteLength; at += PIECE) request.write(LARGE.subarray(at, at + PIECE));
      if (trails) request.addTrailers({ "x-end": "yes" });
      request.end();
    });
  const answers: Answer[] = [];
  for (const { ask } of CHECKS) answers.push(await send(ask));
  agent.destroy();
  return judgeAll(answers, connections, way);
}

async function overHttp2(origin: string, prefix: string, way: Way): Promise<string[]> {
  const session = connect(origin);
  const answers: Answer[] = [];
  for (const { ask } of CHECKS) answers.push(await sendHttp2(session, prefix, ask, way));
  session.close();
  return judgeAll(answers, 1, way);
}

function sendHttp2(
  session: ClientHttp2Session,
  prefix: string,
  { method, path, headers, body }: Ask,
  way: Way,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fields: Record<string, string | number> = { ...headers, ":method": method, ":path": prefix + path };
    if (body === "sized") fields["content-length"] = LARGE.byteLength;
    const stream = session.request(fields, {
      endStream: body === undefined,
      waitForTrailers: body === "unsized" && way.requestTrailers,
    });
    let head: IncomingHttpHeaders = {};
    let trailers: Headers = {};
    const pieces: Buffer[] = [];
    stream.on("response", (got) => (head = got));
    stream.on("trailers", (got) => (trailers = got as Headers));
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("error", reject);
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "yes" }));
    stream.on("end", () =>
      resolve({
        status: Number(head[":status"]),
        headers: head as Headers,
        body: Buffer.concat(pieces),
        trailers,
      }),
    );
    if (body === undefined) return;
    for (let at = 0; at < LARGE.byteLength; at += PIECE) stream.write(LARGE.subarray(at, at + PIECE));
    stream.end();
  });
}

function run(job: Job): Promise<string[]> {
  if (job.kind === "grpc") {
    const { address, authority, ca } = job;
    const { createInsecure, createSsl } = grpc.credentials;
    return checkCalls(address, ca === undefined ? createInsecure() : createSsl(readFileSync(ca)), {
      "grpc.default_authority": authority,
      "grpc.ssl_target_name_override": "localhost",
    });
  }
  const { kind, origin, prefix, way } = job;
  return kind === "http1" ? overHttp1(origin, prefix, way) : overHttp2(origin, prefix, way);
}

let last: Promise<void> = Promise.resolve();
createInterface({ input: process.stdin }).on("line", (line) => {
  last = last
    .then(() => run(JSON.parse(line) as Job))
    .catch((error: unknown) => [String(error)])
    .then((wrong) => void process.stdout.write(`${JSON.stringify(wrong)}\n`));
});
