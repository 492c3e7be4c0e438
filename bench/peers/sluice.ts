import type { Launch, Peer, Place } from "../peer.ts";

/** Starts a sluice on this configuration, given as YAML without its version and its listener. */
export function sluiceWith(place: Place, yaml: string): Launch {
  return {
    command: [place.sluice, "run", "-c", "sluice.yaml"],
    files: {
      "sluice.yaml": `version: 1
listeners: [{ address: "127.0.0.1:${place.port}" }]
${yaml}`,
    },
  };
}

function plain(place: Place): Launch {
  return sluiceWith(
    place,
    `log: { access: false }
upstreams:
  origin: { targets: ["http://127.0.0.1:${place.origin}"] }
routes:
  - { match: { path: /* }, upstream: origin }
`,
  );
}

function grpc(place: Place): Launch {
  return sluiceWith(
    place,
    `log: { access: false }
upstreams:
  origin: { protocol: grpc, targets: ["http://127.0.0.1:${place.origin}"] }
routes:
  - { match: { path: /* }, upstream: origin }
`,
  );
}

// Metrics are always counted; the access log is on unless it is turned off.
function pipeline(place: Place): Launch {
  return sluiceWith(
    place,
    `upstreams:
  origin: { targets: ["http://127.0.0.1:${place.origin}"] }
pipelines:
  edge:
    - request-id
    - security-headers
    - headers:
        request: { set: { x-edge: "front-1" } }
        response: { set: { x-served-by: "edge" }, remove: [server] }
routes:
  - { match: { path: /* }, pipeline: [{ use: edge }], upstream: origin }
`,
  );
}

export const peer: Peer = {
  name: "sluice",
  async version({ sluice }) {
    const said = await Bun.$`${sluice} --version`.text();
    return said.trim().replace(/^sluice /, "");
  },
  serves: { http: plain, json: plain, sse: plain, grpc, pipeline },
};
