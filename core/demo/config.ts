import type { DemoPorts } from "./ports.ts";
import type { DemoUrls } from "./upstreams.ts";

/** The configuration that `sluice demo` runs, as an operator would write it. */
export function demoConfig(urls: DemoUrls, ports: DemoPorts): string {
  return `# The gateway of \`sluice demo\`, in front of four pretend upstreams.
version: 1
listeners:
  - address: 127.0.0.1:${ports.gateway} # HTTP/1.1, HTTP/2 and gRPC
    probes: { live: /health, ready: /ready }
admin:
  address: 127.0.0.1:${ports.admin}

upstreams:
  http: { targets: ["${urls.http}"] }
  openai: { targets: ["${urls.openai}"] }
  anthropic: { targets: ["${urls.anthropic}"] }
  kserve: { protocol: grpc, targets: ["${urls.kserve}"] }

pipelines:
  edge:
    - request-id
    - security-headers
    - headers:
        request: { set: { x-demo: "from the gateway" } }
        response: { set: { x-served-by: sluice-demo } }

routes:
  - name: inference
    match: { path: /inference.GRPCInferenceService/* }
    pipeline: [request-id]
    upstream: kserve
  - name: anthropic
    match: { path: /v1/messages/* }
    pipeline: [{ use: edge }]
    upstream: anthropic
  - name: openai
    match: { path: /v1/* }
    pipeline: [{ use: edge }]
    upstream: openai
  - name: teapot
    match: { path: /teapot }
    respond: { status: 418, headers: { content-type: text/plain }, body: "short and stout\\n" }
  - name: old
    match: { path: /old }
    redirect: { status: 308, to: /hello }
  - name: http
    match: { path: /* }
    pipeline: [{ use: edge }]
    upstream: http
`;
}
