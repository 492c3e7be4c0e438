import { expect, test } from "bun:test";
import { demoConfig } from "./config.ts";

test("the configuration names the upstreams and ports that it was given", () => {
  const origin = (port: number): string => `http://127.0.0.1:${port}`;
  const urls = { http: origin(1001), openai: origin(1002), anthropic: origin(1003), kserve: origin(1004) };
  const config = Bun.YAML.parse(demoConfig(urls, { gateway: 2001, admin: 2002 }));
  expect(config).toMatchObject({
    version: 1,
    listeners: [{ address: "127.0.0.1:2001" }],
    admin: { address: "127.0.0.1:2002" },
    upstreams: {
      http: { targets: [urls.http] },
      openai: { targets: [urls.openai] },
      anthropic: { targets: [urls.anthropic] },
      kserve: { protocol: "grpc", targets: [urls.kserve] },
    },
  });
});
