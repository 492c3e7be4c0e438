import { expect, test } from "bun:test";
import { temporaryDir } from "../../core/testing/temporary-dir.ts";
import { FILL, KB_1, KB_100, startHttpOrigin } from "./http-origin.ts";
import { JSON_ANSWER, JSON_REQUEST } from "./json-messages.ts";
import { startJsonOrigin } from "./json-origin.ts";
import { EVENT_BYTES, stampOf, writeEvent } from "./sse-events.ts";
import { startSseOrigin } from "./sse-origin.ts";

test("the HTTP origin serves both sizes, and is gone when it is let go", async () => {
  using dir = temporaryDir();
  let url: string;
  {
    await using origin = await startHttpOrigin(dir.path);
    url = `http://127.0.0.1:${origin.port}`;
    for (const [path, size] of [
      ["/1k", KB_1],
      ["/100k", KB_100],
    ] as const) {
      const answer = await fetch(url + path);
      expect(answer.headers.get("content-type")).toBe("text/plain");
      expect(await answer.text()).toBe(FILL.repeat(size));
    }
  }
  const asked = await fetch(`${url}/1k`).catch((error: unknown) => error);
  expect(asked).toBeInstanceOf(Error);
});

test("the JSON origin answers what it was promised, and nothing else", async () => {
  await using origin = await startJsonOrigin();
  const post = (body: Uint8Array, type: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${origin.port}/orders`, {
      method: "POST",
      body,
      headers: { "content-type": type },
    });
  const right = await post(JSON_REQUEST, "application/json");
  expect([right.status, right.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(Buffer.from(await right.bytes())).toEqual(Buffer.from(JSON_ANSWER));
  JSON.parse(Buffer.from(JSON_REQUEST).toString());
  JSON.parse(Buffer.from(JSON_ANSWER).toString());
  expect([JSON_REQUEST.byteLength, JSON_ANSWER.byteLength]).toEqual([2_048, 300]);
  const changed = Uint8Array.from(JSON_REQUEST);
  changed[1_000]! ^= 1;
  for (const [body, type] of [
    [changed, "application/json"],
    [JSON_REQUEST.subarray(0, 2_047), "application/json"],
    [JSON_REQUEST, "text/plain"],
  ] as const)
    expect((await post(body, type)).status).toBe(400);
});

test("the SSE origin sends its events in order, and serves the connection again", async () => {
  await using origin = await startSseOrigin();
  const url = `http://127.0.0.1:${origin.port}`;
  for (const count of [1, 7]) {
    const answer = await fetch(`${url}/events?count=${count}&every=1`);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const bytes = Buffer.from(await answer.bytes());
    expect(bytes.byteLength).toBe(count * EVENT_BYTES);
    let last = 0;
    for (let seq = 0; seq < count; seq++) {
      const event = bytes.subarray(seq * EVENT_BYTES, (seq + 1) * EVENT_BYTES);
      const stamp = stampOf(event, seq)!;
      expect(stamp).toBeGreaterThan(last);
      last = stamp;
      const [id, data] = event.toString().trimEnd().split("\n") as [string, string];
      expect(Number(id.replace("id: ", ""))).toBe(seq);
      expect(JSON.parse(data.replace("data: ", ""))).toMatchObject({ seq, at: stamp });
    }
  }
  for (const path of ["/other", "/events?count=0", "/events?every=0"])
    expect((await fetch(url + path)).status).toBe(400);
});

test("an event's stamp is found only in the event itself", () => {
  const event = Buffer.alloc(EVENT_BYTES);
  writeEvent(event, 0, 999_999, 9_007_199_254_740_991);
  expect(stampOf(event, 999_999)).toBe(9_007_199_254_740_991);
  expect(stampOf(event, 999_998)).toBeUndefined();
});
