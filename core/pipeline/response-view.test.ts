import { describe, expect, test } from "bun:test";
import {
  type Body,
  type BodyProducer,
  BodyQueue,
  BytesBody,
  collect,
  type ExchangeResponse,
  HeaderList,
  SluiceError,
} from "sluice/plugin";
import { ResponseView, withKnownBody } from "./response-view.ts";

const PRODUCER: BodyProducer = { pause() {}, resume() {}, cancelled() {} };

/** A gRPC answer whose message and trailers have arrived. */
function grpcAnswer(): ExchangeResponse {
  const body = new BodyQueue(PRODUCER);
  body.push(Buffer.from("message"));
  body.end(new HeaderList(["grpc-status", "0"]));
  return {
    status: 200,
    headers: new HeaderList(["content-type", "application/grpc"]),
    body,
    source: "upstream",
  };
}

async function text(body: Body | null): Promise<string> {
  return Buffer.from((await collect(body, 1_000))!).toString();
}

describe("a view of an answer", () => {
  test("headers changed through it leave the body and its trailers as they are", async () => {
    const answer = grpcAnswer();
    const { body } = answer;
    const view = ResponseView.of(answer);
    view.response.headers.set("x-a", "1");
    view.close();
    expect(answer.body).toBe(body);
    expect(answer.headers.flat).toEqual(["content-type", "application/grpc", "x-a", "1"]);
    expect(await text(answer.body)).toBe("message");
    expect(answer.body?.trailers?.get("grpc-status")).toBe("0");
  });

  test("so does another Response around the same body", async () => {
    const answer = grpcAnswer();
    const { response } = ResponseView.of(answer);
    const view = ResponseView.adopt(new Response(response.body, response), answer);
    view.close();
    expect(view.answer.body).toBe(answer.body);
    expect(view.answer.source).toBe("upstream");
  });

  test("a body that was made of its own ends in its trailers", async () => {
    const answer = grpcAnswer();
    const { response } = ResponseView.of(answer);
    const identity = new TransformStream<Uint8Array, Uint8Array>();
    const view = ResponseView.adopt(new Response(response.body!.pipeThrough(identity), response), answer);
    view.close();
    expect(view.answer.body).not.toBe(answer.body);
    expect(await text(view.answer.body)).toBe("message");
    expect(view.answer.body?.trailers?.get("grpc-status")).toBe("0");
  });

  test("nothing is read before somebody reads", async () => {
    let reads = 0;
    const body: Body = {
      length: 3,
      trailers: undefined,
      read() {
        return ++reads === 1 ? Buffer.from("abc") : null;
      },
      cancel() {},
    };
    const answer: ExchangeResponse = { status: 200, headers: new HeaderList(), body, source: "upstream" };
    const view = ResponseView.of(answer);
    expect(view.response.headers.get("content-length")).toBe("3");
    await new Promise((resolve) => setImmediate(resolve));
    view.settle();
    expect(reads).toBe(0);
    const clone = view.response.clone();
    view.settle();
    expect(await clone.text()).toBe("abc");
    expect(await text(answer.body)).toBe("abc");
    expect(answer.headers.has("content-length")).toBe(false);
  });

  test("a body that the exchange was given meanwhile stands", () => {
    const answer = grpcAnswer();
    const view = ResponseView.of(answer);
    const other = new BytesBody(Buffer.from("other"));
    answer.body = other;
    expect(view.fits).toBe(false);
    view.close();
    expect(answer.body).toBe(other);
  });

  test("after it is closed nobody reads along", async () => {
    const answer = grpcAnswer();
    const view = ResponseView.of(answer);
    const { response } = view;
    view.close();
    expect(await response.text().catch(String)).toContain("has been sent");
    expect(await text(answer.body)).toBe("message");
  });

  test.each([
    ["read", async (response: Response) => void (await response.text())],
    ["locked", (response: Response) => void response.body?.getReader()],
    ["cancelled", (response: Response) => response.body?.cancel()],
  ])("a body that was %s cannot be sent", async (_what, use) => {
    const view = ResponseView.of(grpcAnswer());
    await use(view.response);
    expect(() => view.close()).toThrow(SluiceError);
  });

  test.each([101, 204, 205, 304])("%d has no body in the view", (status) => {
    const answer: ExchangeResponse = { status, headers: new HeaderList(), body: null, source: "upstream" };
    const { response } = ResponseView.of(answer);
    expect(response.status).toBe(status);
    expect(response.body).toBeNull();
  });

  test("bytes that are known keep their length; framing headers of a plugin are dropped", () => {
    const made = new Response("héllo", {
      headers: { "content-length": "1", "transfer-encoding": "chunked" },
    });
    const { answer } = ResponseView.adopt(withKnownBody(made, "héllo"));
    expect(answer.body?.length).toBe(6);
    expect(answer.headers.has("content-length")).toBe(false);
    expect(answer.headers.has("transfer-encoding")).toBe(false);
    expect(answer.source).toBe("gateway");
  });
});
