import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as grpc from "@grpc/grpc-js";
import { type Binary, startBinary } from "./binary.ts";
import { type EchoClient, echoClient, type EchoServer, type Message, startEchoServer } from "./grpc-echo.ts";
import { type SeenRequest, startHttpUpstream } from "./http-upstream.ts";
import { exampleOnPorts } from "./paths.ts";

/*
 * config/examples/proxy.yaml as it stands (but for its ports) on the compiled binary: curl over HTTP/1.1 and HTTP/2,
 * grpc-js with every kind of call, all on one port.
 */

let gateway: Binary;
let echo: EchoServer;
let client: EchoClient;
const open = new AsyncDisposableStack();

beforeAll(async () => {
  const upstream = (name: string): number => open.use(startHttpUpstream(name)).port;
  echo = open.use(await startEchoServer());
  gateway = await startBinary(
    exampleOnPorts("proxy.yaml", {
      18080: 0,
      18081: 0,
      19000: upstream("http"),
      19001: echo.port,
      19002: upstream("heavy"),
      19003: upstream("light"),
    }),
  );
  open.use(gateway);
  client = echoClient(gateway.listener());
  open.defer(() => client.close());
});

afterAll(() => open.disposeAsync());

interface Seen extends SeenRequest {
  readonly upstream: string;
}

async function curl(...args: string[]): Promise<{ status: number; version: string; body: string }> {
  const child = Bun.spawn(["curl", "-sS", "-m", "10", "-w", "\n%{http_code} %{http_version}", ...args], {
    stdout: "pipe",
  });
  const text = await new Response(child.stdout).text();
  const lines = text.split("\n");
  const [status, version] = (lines.pop() ?? "").split(" ");
  return { status: Number(status), version: version ?? "", body: lines.join("\n") };
}

async function seen(...args: string[]): Promise<Seen> {
  return JSON.parse((await curl(...args)).body) as Seen;
}

describe.each([
  ["HTTP/1.1", "--http1.1", "1.1"],
  ["HTTP/2 with prior knowledge", "--http2-prior-knowledge", "2"],
])("curl over %s", (_name, flag, version) => {
  const url = (path: string): string => `http://${gateway.listener()}${path}`;

  test("a GET reaches the upstream of the last route", async () => {
    const answer = await curl(flag, url("/a/b?c=d"));
    expect(answer.status).toBe(200);
    expect(answer.version).toBe(version);
    expect(JSON.parse(answer.body)).toMatchObject({ upstream: "http", method: "GET", path: "/a/b?c=d" });
  });

  test("a POST arrives with its body, and forwarding headers that a client cannot forge", async () => {
    const got = await seen(
      flag,
      "-H",
      "X-Forwarded-For: 6.6.6.6",
      "-H",
      "X-Forwarded-Proto: gopher",
      "-d",
      "hello",
      url("/post"),
    );
    expect(got).toMatchObject({ method: "POST", body: "hello" });
    expect(got.headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(got.headers["x-forwarded-proto"]).toBe("http");
    expect(got.headers["via"]).toContain("sluice");
  });

  test("weights 3:1 and the stripped prefix", async () => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 8; i++) {
      const got = await seen(flag, url("/pair/x?y=1"));
      expect(got.path).toBe("/x?y=1");
      counts[got.upstream] = (counts[got.upstream] ?? 0) + 1;
    }
    expect(counts).toEqual({ heavy: 6, light: 2 });
  });

  test("a route by header, and one whose method does not match", async () => {
    expect((await seen(flag, "-H", "x-api-version: 2", url("/any"))).upstream).toMatch(/heavy|light/);
    expect((await seen(flag, "-X", "POST", url("/pair/x"))).upstream).toBe("http");
  });

  test("HEAD has no body, an invalid escape is 400", async () => {
    expect((await curl(flag, "-I", url("/head"))).status).toBe(200);
    expect((await curl(flag, url("/%zz"))).status).toBe(400);
  });
});

describe("grpc-js", () => {
  const unary = (text: string, options: grpc.CallOptions = {}, metadata = new grpc.Metadata()) =>
    new Promise<{ error: grpc.ServiceError | null; reply: Message | undefined }>((resolve) => {
      client.Unary({ text, number: "9007199254740993" }, metadata, options, (error, reply) =>
        resolve({ error, reply }),
      );
    });

  test("unary, with metadata both ways", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-plain", "a");
    metadata.set("x-bytes-bin", Buffer.from([0, 255, 1]));
    const trailers = Promise.withResolvers<grpc.Metadata>();
    const head = Promise.withResolvers<grpc.Metadata>();
    const reply = await new Promise<Message | undefined>((resolve, reject) => {
      const call = client.Unary({ text: "hi", number: "9007199254740993" }, metadata, {}, (error, got) =>
        error === null ? resolve(got) : reject(error),
      );
      call.on("metadata", (got: grpc.Metadata) => head.resolve(got));
      call.on("status", (status: grpc.StatusObject) => trailers.resolve(status.metadata));
    });
    expect(reply).toEqual({ text: "hi", number: "9007199254740993" });
    expect((await head.promise).get("x-header")).toEqual(["head"]);
    expect((await trailers.promise).get("x-trailer")).toEqual(["tail"]);
    const got = echo.metadata.at(-1);
    expect(got?.get("x-plain")).toEqual(["a"]);
    expect(got?.get("x-bytes-bin")).toEqual([Buffer.from([0, 255, 1])]);
  });

  test("server stream, client stream, bidi", async () => {
    const numbers: string[] = [];
    for await (const message of client.ServerStream({ text: "s", number: "200" }) as AsyncIterable<Message>)
      numbers.push(message.number);
    expect(numbers).toHaveLength(200);

    const joined = await new Promise<Message | undefined>((resolve, reject) => {
      const call = client.ClientStream((error, reply) => (error === null ? resolve(reply) : reject(error)));
      for (const text of ["a", "b", "c"]) call.write({ text });
      call.end();
    });
    expect(joined).toEqual({ text: "a,b,c", number: "3" });

    const bidi = client.Bidi();
    const answers = bidi[Symbol.asyncIterator]() as AsyncIterator<Message>;
    for (const text of ["one", "two"]) {
      bidi.write({ text });
      // The answer comes while the request is still open: nothing is gathered on the way.
      expect((await answers.next()).value).toMatchObject({ text });
    }
    bidi.end();
    expect((await answers.next()).done).toBe(true);
  });

  test("an error with details, trailers-only", async () => {
    for (const text of ["fail", "trailers-only"]) {
      const { error } = await unary(text);
      expect(error?.code).toBe(grpc.status.FAILED_PRECONDITION);
      expect(error?.details).toBe("nöt now 100%");
      expect(error?.metadata.get("x-why")).toEqual(["because"]);
      expect(error?.metadata.get("grpc-status-details-bin")).toEqual([
        Buffer.from([8, 9, 18, 3, 98, 97, 100]),
      ]);
    }
  });

  test("a deadline ends the call here and at the upstream", async () => {
    const cancelled = echo.nextCancel();
    const { error } = await unary("hang", { deadline: Date.now() + 150 });
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await cancelled;
  });

  test("a cancel reaches the upstream", async () => {
    const cancelled = echo.nextCancel();
    const call = client.ServerStream({ text: "hang", number: "1" });
    await new Promise((resolve) => call.once("data", resolve));
    const ended = new Promise<grpc.ServiceError>((resolve) => call.once("error", resolve));
    call.cancel();
    expect((await ended).code).toBe(grpc.status.CANCELLED);
    await cancelled;
  });

  test("an unknown service is answered by the last route's HTTP upstream, an unreachable one by status 14", async () => {
    const { error } = await new Promise<{ error: grpc.ServiceError | null }>((resolve) => {
      client.makeUnaryRequest(
        "/no.Such/Method",
        (value: Buffer) => value,
        (value: Buffer) => value,
        Buffer.alloc(0),
        (failed) => resolve({ error: failed }),
      );
    });
    expect(error).not.toBeNull();
  });
});
