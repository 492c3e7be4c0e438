import { expect, test } from "bun:test";
import { join } from "node:path";
import { fakeUpstream } from "sluice/testing";

test("what is configured is what is asked, whatever the environment says", async () => {
  await using upstream = await fakeUpstream(
    () => new Response("here", { status: 302, headers: { location: "http://127.0.0.1:1/elsewhere" } }),
  );
  // The runtime reads the variables when it starts.
  const code = `import { plainFetch } from ${JSON.stringify(join(import.meta.dir, "plain-fetch.ts"))};
    const answer = await plainFetch(${JSON.stringify(`${upstream.url}/x`)});
    console.log(answer.status, await answer.text());`;
  const proxy = "http://127.0.0.1:1";
  const child = Bun.spawn([process.execPath, "-e", code], {
    env: { ...process.env, HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: "", no_proxy: "" },
    stdout: "pipe",
    stderr: "inherit",
  });
  expect(await new Response(child.stdout).text()).toBe("302 here\n");
  expect(upstream.requests.map(({ target }) => target)).toEqual(["/x"]);
});
