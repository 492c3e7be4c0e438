import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startNginx } from "../../core/e2e/daemon.ts";
import { freePort } from "../../core/e2e/free-port.ts";
import { EDGE_REQUEST_HEADER } from "../edge.ts";
import type { Origin } from "../scenario.ts";

/** What bodies consist of. */
export const FILL = "x";
/** Bytes of the body of `/1k`. */
export const KB_1 = 1_024;
/** And of `/100k`. */
export const KB_100 = 102_400;

/**
 * nginx in one process, which keeps connections as long as they are wanted: `/1k` from memory, `/100k` a file, `/asked`
 * what a pipeline has to put into requests. It is the fastest there is here, so that what comes before it is what is
 * measured.
 * @param dir for its files. @param hosts that it listens on, with one port
 */
export async function startHttpOrigin(
  dir: string,
  hosts: readonly string[] = ["127.0.0.1"],
): Promise<Origin> {
  const port = freePort();
  const listens = hosts.map((host) => `listen ${host}:${port} backlog=4096;`);
  const config = `# One process: the one worker is the master.
daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  open_file_cache_valid 1h;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  server {
    ${listens.join("\n    ")}
    default_type text/plain;
    location = /1k { return 200 "${FILL.repeat(KB_1)}"; }
    location = /100k { root ${dir}/files; }
    location = /asked { return 200 "$http_${EDGE_REQUEST_HEADER[0].replaceAll("-", "_")} $http_x_request_id"; }
  }
}
`;
  const file = join(dir, "nginx.conf");
  writeFileSync(file, config);
  mkdirSync(join(dir, "files"), { recursive: true });
  writeFileSync(join(dir, "files/100k"), FILL.repeat(KB_100));
  const nginx = await startNginx(file, port);
  return {
    port,
    command: ["nginx", "-e", "stderr", "-c", file],
    files: { "nginx.conf": config },
    async [Symbol.asyncDispose]() {
      await nginx.terminate();
      await nginx[Symbol.asyncDispose]();
    },
  };
}
