import { expect, test } from "bun:test";
import { rawUpstream } from "./raw-upstream.ts";
import { harness } from "./test-harness.ts";
import { through } from "./test-through.ts";

/** What an HTTP/1.1 upstream gets of an HTTP/2 upload of "body" with these fields and the trailer `x-sum`. */
async function passed(fields: Readonly<Record<string, string>>, until: string): Promise<string> {
  using upstream = rawUpstream(["HTTP/1.1 204 No Content\r\n\r\n"]);
  await using gate = harness({ u: { url: upstream.url } });
  using gateway = await through(gate);
  const stream = gateway.session.request(
    { ":method": "POST", ":path": "/u", "content-length": "4", ...fields },
    { waitForTrailers: true },
  );
  stream.on("error", () => {});
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
  stream.end("body");
  await upstream.until(until);
  return upstream.received;
}

test("trailers that a client announces pass behind a body of known length, too", async () => {
  const received = await passed({ trailer: "x-sum" }, "x-sum: 1\r\n\r\n");
  expect(received).toContain("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n");
  expect(received).not.toContain("content-length");
});

test("unannounced ones cannot: the upstream is told the length", async () => {
  expect(await passed({}, "\r\n\r\nbody")).toContain("content-length: 4\r\n\r\nbody");
});
