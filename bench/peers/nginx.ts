import { EDGE_HEADERS, EDGE_REQUEST_HEADER } from "../edge.ts";
import { versionOf } from "../harness/machine.ts";
import type { Launch, Peer, Place } from "../peer.ts";

// As root nginx gives its worker to another user, who has no business in the directory.
const AS_STARTED = process.getuid?.() === 0 ? "user root;\n" : "";

/** One worker; `http` stands in the block of that name, and `origin` is an upstream with connections that are kept. */
export function nginxWith({ origin }: Place, http: string): Launch {
  return {
    command: ["nginx", "-e", "stderr", "-p", ".", "-c", "nginx.conf"],
    files: {
      "nginx.conf": `${AS_STARTED}daemon off;
worker_processes 1;
pid nginx.pid;
events { worker_connections 16384; }
http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  keepalive_requests 1000000000;
  upstream origin { server 127.0.0.1:${origin}; keepalive 1024; keepalive_requests 1000000000; }
${http.replaceAll(/^(?=.)/gm, "  ")}}
`,
    },
  };
}

// What its documentation asks for where connections to an upstream are to be kept; and buffers that hold an answer of
// 100 KB, which the default ones of 4 KB pass on in so many pieces that it costs twice the time.
const KEEP = `proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_buffers 16 16k;
`;

function serving(place: Place, more: string): Launch {
  return nginxWith(
    place,
    `${KEEP}${more}server { listen 127.0.0.1:${place.port} backlog=4096; location / { proxy_pass http://origin; } }
`,
  );
}

const plain = (place: Place): Launch => serving(place, "access_log off;\n");

const events = (place: Place): Launch => serving(place, "access_log off;\nproxy_buffering off;\n");

const grpc = (place: Place): Launch =>
  nginxWith(
    place,
    `access_log off;
server { listen 127.0.0.1:${place.port} http2; location / { grpc_pass grpc://origin; } }
`,
  );

function pipeline(place: Place): Launch {
  const [name, value] = EDGE_REQUEST_HEADER;
  return serving(
    place,
    // In batches, as Sluice writes its own.
    `access_log access.log combined buffer=64k flush=1s;
proxy_set_header X-Request-Id $request_id;
proxy_set_header ${name} ${value};
add_header X-Request-Id $request_id always;
${EDGE_HEADERS.map(([field, content]) => `add_header ${field} "${content}" always;`).join("\n")}
`,
  );
}

export const peer: Peer = {
  name: "nginx",
  needs: { nginx: "nginx-light" },
  version: () => versionOf("nginx", "-v"),
  serves: { http: plain, json: plain, sse: events, grpc, pipeline },
};
