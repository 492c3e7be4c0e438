import { inferRequest } from "./kserve-messages.ts";
import { MODEL } from "./kserve-model.ts";
import { envelope } from "./kserve-server.ts";
import type { DemoPorts } from "./ports.ts";

/** What `sluice demo` prints: a line to try for each thing that the gateway does, ready to paste. */
export function demoBanner(ports: DemoPorts): string {
  const gateway = `http://127.0.0.1:${ports.gateway}`;
  const admin = `http://127.0.0.1:${ports.admin}`;
  const chat = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]';
  const message =
    '{"model":"claude-haiku-4-5","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]';
  const json = "-H 'content-type: application/json'";
  const claude = `${json} -H 'anthropic-version: 2023-06-01'`;
  return `Sluice is running in front of four pretend upstreams.

HTTP/1.1                 curl -i ${gateway}/hello
HTTP/2, same port        curl -i --http2-prior-knowledge ${gateway}/hello
what the upstream sees   curl ${gateway}/echo -d 'some text'
server-sent events       curl -N ${gateway}/stream
a route that responds    curl -i ${gateway}/teapot
a redirect               curl -iL ${gateway}/old

OpenAI                   curl ${gateway}/v1/chat/completions ${json} -d '${chat}}'
OpenAI, streamed         curl -N ${gateway}/v1/chat/completions ${json} -d '${chat},"stream":true}'
Anthropic                curl ${gateway}/v1/messages ${claude} -d '${message}}'
Anthropic, streamed      curl -N ${gateway}/v1/messages ${claude} -d '${message},"stream":true}'

gRPC, the server is live
  ${grpcLine(gateway, "ServerLive", new Uint8Array(0))}
gRPC, a model that adds one to 1, 2, 3 (the answer holds ^B^@^@^@ ^C^@^@^@ ^D^@^@^@)
  ${grpcLine(gateway, "ModelInfer", addOneTo([1, 2, 3]))}

metrics                  curl ${admin}/metrics
health                   curl ${admin}/health
routes                   curl ${admin}/routes
`;
}

function addOneTo(ints: number[]): Uint8Array {
  return inferRequest(MODEL, [{ name: "INPUT0", datatype: "INT32", shape: [ints.length], ints, floats: [] }]);
}

/** A gRPC call by curl alone; `cat -v` shows bytes as ^X, and -i the trailers with the status. */
function grpcLine(gateway: string, method: string, message: Uint8Array): string {
  const bytes = Array.from(envelope(message), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return (
    `printf '${bytes}' | curl -si --http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers' ` +
    `--data-binary @- ${gateway}/inference.GRPCInferenceService/${method} | cat -v`
  );
}
