import { EDGE_HEADERS, EDGE_REQUEST_HEADER } from "../edge.ts";
import { versionOf } from "../harness/machine.ts";
import type { Launch, Peer, Place } from "../peer.ts";

/** One thread, and connections to servers shared by all clients; `servers` are `host:port`, with options behind. */
export function haproxyWith(
  { port }: Place,
  { bind = "", frontend = "", servers }: { bind?: string; frontend?: string; servers: readonly string[] },
): Launch {
  const lines = (text: string): string => text.replaceAll(/^(?=.)/gm, "  ");
  return {
    command: ["haproxy", "-db", "-f", "haproxy.cfg"],
    files: {
      "haproxy.cfg": `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:${port}${bind}
${lines(frontend)}  default_backend origin
backend origin
  balance roundrobin
${servers.map((server, i) => `  server s${i} ${server}`).join("\n")}
`,
    },
  };
}

const plain = (place: Place): Launch => haproxyWith(place, { servers: [`127.0.0.1:${place.origin}`] });

// Its manual: not to wait for more of a chunked body that comes in pieces.
const events = (place: Place): Launch =>
  haproxyWith(place, { frontend: "option http-no-delay\n", servers: [`127.0.0.1:${place.origin}`] });

const grpc = (place: Place): Launch =>
  haproxyWith(place, { bind: " proto h2", servers: [`127.0.0.1:${place.origin} proto h2`] });

function pipeline(place: Place): Launch {
  const [name, value] = EDGE_REQUEST_HEADER;
  const added = EDGE_HEADERS.map(([field, content]) => `http-response set-header ${field} "${content}"`);
  return haproxyWith(place, {
    frontend: `log stdout format raw local0
option httplog
unique-id-format %[uuid()]
unique-id-header x-request-id
http-request set-header ${name} ${value}
http-response set-header x-request-id %[unique-id]
http-response del-header server
${added.join("\n")}
`,
    servers: [`127.0.0.1:${place.origin}`],
  });
}

export const peer: Peer = {
  name: "haproxy",
  needs: { haproxy: "haproxy" },
  version: () => versionOf("haproxy", "-v"),
  serves: { http: plain, json: plain, sse: events, grpc, pipeline },
};
