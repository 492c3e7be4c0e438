import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface OpenLoopCommand {
  readonly url: URL;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Of a Poisson process; undefined for arrivals of one spacing. */
  readonly seed: number | undefined;
  readonly maxConnections: number;
  readonly patienceSeconds: number;
  readonly method: string;
  readonly headers: readonly string[];
  readonly body: Uint8Array | undefined;
  readonly status: number;
  readonly expected: Uint8Array | { readonly events: number };
}

export const USAGE = `bun bench/load/open-loop/main.ts --url=http://127.0.0.1:PORT/PATH --rate=N --seconds=N
    --expect-file=FILE | --expect-length=N --expect-fill=CHARACTER | --sse --events=N
  [--warm-up=1]             seconds before what is measured
  [--arrivals=constant]     or poisson, with [--seed=1]
  [--max-connections=2000]  [--patience=10]  seconds for answers after the last request
  [--method=GET]  [--header='name: value' …]  [--body-file=FILE]  [--status=200]`;

/** @throws Error that says which option is wrong */
export function parseOptions(args: readonly string[]): OpenLoopCommand {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: "string" },
      rate: { type: "string" },
      seconds: { type: "string" },
      "warm-up": { type: "string", default: "1" },
      arrivals: { type: "string", default: "constant" },
      seed: { type: "string", default: "1" },
      "max-connections": { type: "string", default: "2000" },
      patience: { type: "string", default: "10" },
      method: { type: "string", default: "GET" },
      header: { type: "string", multiple: true, default: [] },
      "body-file": { type: "string" },
      status: { type: "string", default: "200" },
      "expect-file": { type: "string" },
      "expect-length": { type: "string" },
      "expect-fill": { type: "string", default: "x" },
      sse: { type: "boolean", default: false },
      events: { type: "string" },
    },
  });
  const number = (
    name: "rate" | "seconds" | "warm-up" | "seed" | "max-connections" | "patience" | "status",
  ) => positive(name, values[name]);
  if (values.arrivals !== "constant" && values.arrivals !== "poisson")
    throw new Error("--arrivals=constant|poisson");
  const url = new URL(values.url ?? "");
  if (url.protocol !== "http:" || url.hostname !== "127.0.0.1")
    throw new Error("--url=http://127.0.0.1:PORT/PATH");
  const file = values["body-file"];
  return {
    url,
    rate: number("rate"),
    seconds: number("seconds"),
    warmUpSeconds: number("warm-up"),
    seed: values.arrivals === "poisson" ? number("seed") : undefined,
    maxConnections: number("max-connections"),
    patienceSeconds: number("patience"),
    method: values.method,
    headers: values.header,
    body: file === undefined ? undefined : readFileSync(file),
    status: number("status"),
    expected: values.sse
      ? { events: positive("events", values.events) }
      : values["expect-file"] === undefined
        ? Buffer.alloc(positive("expect-length", values["expect-length"]), values["expect-fill"])
        : readFileSync(values["expect-file"]),
  };
}

function positive(name: string, value: string | undefined): number {
  const number = Number(value ?? Number.NaN);
  if (!(number >= 0)) throw new Error(`--${name} must be a number, not ${value}`);
  return number;
}

/** The request's bytes, as RFC 9112 §3 has them. */
export function requestBytes({ url, method, headers, body }: OpenLoopCommand): Uint8Array {
  const length = body === undefined ? [] : [`content-length: ${body.byteLength}`];
  const head = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    ...headers,
    ...length,
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body ?? Buffer.alloc(0)]);
}
