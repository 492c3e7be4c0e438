import { expect, test } from "bun:test";
import { contextKey, HeaderList, SluiceError } from "sluice/plugin";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import type { Inbound } from "../listener/inbound.ts";
import { HttpExchange } from "./exchange.ts";

function exchange(): HttpExchange {
  const inbound: Inbound = {
    connection: {
      ...{
        socketAddress: "::1",
        socketPort: 1,
        peerAddress: "::1",
        peerPort: 1,
        localAddress: "::1",
        localPort: 2,
      },
      tls: undefined,
    },
    ...{ httpVersion: "2", method: "GET", rawTarget: "/a?b", scheme: "https", authority: "h" },
    headers: new HeaderList(),
    body: null,
    respond: () => Promise.reject(new Error("not asked")),
    inform: () => {},
    onGone: undefined,
  };
  const client = { address: "::1", fromTrustedProxy: false };
  return new HttpExchange(inbound, "/a", "?b", client, 1, {
    clock: createFakeClock(),
    random: createSeededRandom(1),
  });
}

const REASON = new SluiceError("draining", "Going.");

test("the request id is made once, and may be assigned", () => {
  const x = exchange();
  expect(x.requestId).toBe(x.requestId);
  x.requestId = "mine";
  expect(x.requestId).toBe("mine");
});

test("context keys are told apart by identity", () => {
  const x = exchange();
  const [one, two] = [contextKey("k", 1), contextKey("k", 2)];
  expect([x.get(one), x.get(two)]).toEqual([1, 2]);
  x.set(one, 7);
  expect([x.get(one), x.get(two)]).toEqual([7, 2]);
});

test("cancel is heard once by everybody who did not take it back, and by those who come later", () => {
  const x = exchange();
  const heard: unknown[] = [];
  x.onCancel((reason) => heard.push("first", reason));
  x.onCancel(() => {
    throw new Error("a listener that fails");
  });
  const takeBack = x.onCancel(() => heard.push("never"));
  const { signal } = x;
  takeBack();
  takeBack();
  expect(x.cancelled).toBe(false);
  x.cancel(REASON);
  x.cancel(new SluiceError("internal", "too late"));
  x.onCancel((reason) => heard.push("late", reason))();
  expect(heard).toEqual(["first", REASON, "late", REASON]);
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toBe(REASON);
  expect(exchange().signal.aborted).toBe(false);
});

test("a signal that is asked for after the end has fired", () => {
  const x = exchange();
  x.cancel(REASON);
  expect(x.signal.reason).toBe(REASON);
});

test("one try is given up without the others", () => {
  const x = exchange();
  const heard: string[] = [];
  x.onCancel(() => heard.push("outer"));
  const mark = x.mark();
  x.onCancel(() => heard.push("inner"));
  x.onCancel(() => heard.push("inner, over"))();
  x.cancelSince(mark, REASON);
  expect(heard).toEqual(["inner"]);
  expect(x.cancelled).toBe(false);
  x.cancel(REASON);
  expect(heard).toEqual(["inner", "outer"]);
});

test("what began after a mark is given up, whoever took something back in between", () => {
  const x = exchange();
  const heard: string[] = [];
  const takeBack = x.onCancel(() => heard.push("before"));
  const mark = x.mark();
  takeBack();
  x.onCancel(() => heard.push("after"));
  x.cancelSince(mark, REASON);
  expect(heard).toEqual(["after"]);
});

test("a listener that is taken back leaves its place to another, however many marks there are", () => {
  const x = exchange();
  for (let i = 0; i < 1_000; i++) {
    x.mark();
    x.onCancel(() => {})();
  }
  expect(x.mark()).toBe(0);
});

test("bodies that others took the place of are let go at the end", () => {
  const x = exchange();
  const cancelled: string[] = [];
  const answer = (name: string, source: "upstream" | "gateway") => ({
    ...{ status: 200, headers: new HeaderList(), source },
    body: { length: 1, trailers: undefined, read: () => null, cancel: () => void cancelled.push(name) },
  });
  const first = answer("first", "upstream");
  x.response = first;
  x.response = { ...first, status: 201 };
  x.response = undefined;
  x.response = answer("own", "gateway");
  x.response = answer("last", "upstream");
  expect(cancelled).toEqual([]);
  x.release();
  x.release();
  expect(cancelled).toEqual(["first", "own"]);
});

test("a lifeless copy shares nothing that could change the request", () => {
  const x = exchange();
  x.response = { status: 200, headers: new HeaderList(["a", "1"]), body: null, source: "gateway" };
  const copy = x.lifeless(REASON);
  copy.request.headers.append("x", "1");
  copy.response?.headers.append("y", "1");
  copy.response = undefined;
  expect(copy.cancelled).toBe(true);
  expect(copy.requestId).toBe(x.requestId);
  expect(x.request.headers.size).toBe(0);
  expect(x.response?.headers.flat).toEqual(["a", "1"]);
  expect(x.cancelled).toBe(false);
});
