import type { Clock, Random } from "sluice/plugin";
import { anthropicApp } from "./anthropic-app.ts";
import { httpApp } from "./http-app.ts";
import { serveKserve } from "./kserve-server.ts";
import { openaiApp } from "./openai-app.ts";
import { serveApp } from "./serve.ts";

/** The origins of the pretend upstreams, `http://127.0.0.1:PORT` each. */
export interface DemoUrls {
  readonly http: string;
  readonly openai: string;
  readonly anthropic: string;
  /** gRPC, HTTP/2 with prior knowledge. */
  readonly kserve: string;
}

export interface DemoUpstreams extends DemoUrls {
  /** Cuts what is open and frees the ports. */
  close(): Promise<void>;
}

/**
 * Starts the four pretend upstreams on free ports of the loopback. They need nothing outside of the process.
 * @param services `clock` paces streams and stamps answers; `random` makes ids.
 */
export async function startDemoUpstreams(services: { clock: Clock; random: Random }): Promise<DemoUpstreams> {
  const { clock, random } = services;
  const kserve = await serveKserve();
  const http = serveApp(httpApp(clock));
  const openai = serveApp(openaiApp(clock, random));
  const anthropic = serveApp(anthropicApp(clock, random));
  return {
    http: http.url,
    openai: openai.url,
    anthropic: anthropic.url,
    kserve: kserve.url,
    close: async () => {
      await Promise.all([http.close(), openai.close(), anthropic.close(), kserve.close()]);
    },
  };
}
