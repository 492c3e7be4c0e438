import { EDGE_HEADERS, EDGE_REQUEST_HEADER } from "../edge.ts";
import { versionOf } from "../harness/machine.ts";
import type { Launch, Peer, Place } from "../peer.ts";

interface Site {
  /** Global options. */
  readonly globals?: string;
  /** Directives before `reverse_proxy`, and what stands inside of it. */
  readonly before?: string;
  readonly proxy?: string;
  /** Inside of `transport http`. */
  readonly transport?: string;
}

/** One thread runs Go code; connections are kept to the origin, as many as there are clients. */
function caddyWith({ port, origin }: Place, site: Site): Launch {
  return {
    command: ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    env: { GOMAXPROCS: "1" },
    files: {
      Caddyfile: `{
	admin off
	auto_https off
	log {
		level WARN
	}
${site.globals ?? ""}}
http://:${port} {
	bind 127.0.0.1
${site.before ?? ""}	reverse_proxy 127.0.0.1:${origin} {
${site.proxy ?? ""}		transport http {
			keepalive_idle_conns_per_host 1024
${site.transport ?? ""}		}
	}
}
`,
    },
  };
}

const plain = (place: Place): Launch => caddyWith(place, {});

const events = (place: Place): Launch => caddyWith(place, { proxy: "\t\tflush_interval -1\n" });

const grpc = (place: Place): Launch =>
  caddyWith(place, {
    globals: "\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n",
    transport: "\t\t\tversions h2c 2\n",
  });

function pipeline(place: Place): Launch {
  const [name, value] = EDGE_REQUEST_HEADER;
  const added = EDGE_HEADERS.map(([field, content]) => `\t\t${field} "${content}"`).join("\n");
  return caddyWith(place, {
    before: `	log {
		output file access.log {
			roll_disabled
		}
		level INFO
	}
	request_header X-Request-Id {http.request.uuid}
	request_header ${name} ${value}
	header {
		X-Request-Id {http.request.uuid}
		-Server
		defer
${added}
	}
`,
  });
}

export const peer: Peer = {
  name: "caddy",
  needs: { caddy: "caddy" },
  version: () => versionOf("caddy", "version"),
  serves: { http: plain, json: plain, sse: events, grpc, pipeline },
};
