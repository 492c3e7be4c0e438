import { temporaryDir } from "../testing/temporary-dir.ts";
import { startHaproxy, startNginx } from "./daemon.ts";
import { freePort } from "./free-port.ts";

/* Real proxies around the gateway: behind it as upstreams in front of servers on Node, and before it as clients. */

/** Ports of servers that speak HTTP/1.1, HTTP/2 in clear text, and gRPC. */
export interface Ports {
  readonly http1: number;
  readonly http2: number;
  readonly grpc: number;
}

export interface Proxy extends AsyncDisposable {
  readonly ports: Ports;
}

const freePorts = (): Ports => ({ http1: freePort(), http2: freePort(), grpc: freePort() });

async function running(
  name: string,
  config: string,
  ports: Ports,
  start: (file: string, port: number) => Promise<AsyncDisposable>,
): Promise<Proxy> {
  await using open = new AsyncDisposableStack();
  const dir = open.use(temporaryDir());
  open.use(await start(dir.write(name, config.replaceAll("DIR", dir.path)), ports.grpc));
  const all = open.move();
  return { ports, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const HAPROXY_DEFAULTS = `
global
  maxconn 200
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
`;

/** HAProxy that speaks all three to the gateway, and HTTP/1.1 to Node's HTTP server. */
export function haproxyBehind({ http1, grpc }: Ports): Promise<Proxy> {
  const ports = freePorts();
  const config = `${HAPROXY_DEFAULTS}
frontend http
  bind 127.0.0.1:${ports.http1}
  bind 127.0.0.1:${ports.http2} proto h2
  http-response set-header x-connection %[src_port]
  default_backend http
backend http
  server node 127.0.0.1:${http1}
frontend grpc
  bind 127.0.0.1:${ports.grpc} proto h2
  default_backend grpc
backend grpc
  server node 127.0.0.1:${grpc} proto h2
`;
  return running("haproxy.cfg", config, ports, startHaproxy);
}

/** HAProxy before the gateway: what it takes as HTTP/1.1 goes on as HTTP/1.1 or, on its other port, as HTTP/2. */
export function haproxyBefore(gateway: number): Promise<Proxy> {
  const ports = freePorts();
  const config = `${HAPROXY_DEFAULTS}
frontend http1
  bind 127.0.0.1:${ports.http1}
  default_backend http1
frontend http2
  bind 127.0.0.1:${ports.http2}
  default_backend http2
frontend grpc
  bind 127.0.0.1:${ports.grpc} proto h2
  default_backend http2
backend http1
  server gateway 127.0.0.1:${gateway}
backend http2
  server gateway 127.0.0.1:${gateway} proto h2
`;
  return running("haproxy.cfg", config, ports, startHaproxy);
}

/** nginx that speaks all three to the gateway, and HTTP/1.1 to Node's HTTP server. */
export function nginxBehind({ http1, grpc }: Ports): Promise<Proxy> {
  const ports = freePorts();
  const passOn = `location / { proxy_pass http://http; proxy_hide_header x-connection; add_header x-connection $remote_port always; }`;
  const config = `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_request_buffering off;
  upstream http { server 127.0.0.1:${http1}; keepalive 8; }
  upstream grpc { server 127.0.0.1:${grpc}; keepalive 8; }
  server { listen 127.0.0.1:${ports.http1}; ${passOn} }
  server { listen 127.0.0.1:${ports.http2} http2; ${passOn} }
  server { listen 127.0.0.1:${ports.grpc} http2; location / { grpc_pass grpc://grpc; } }
}
`;
  return running("nginx.conf", config, ports, startNginx);
}
