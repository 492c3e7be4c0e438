import { BytesBody, HeaderList } from "sluice/plugin";
import type { RouteAction } from "../../config/types.ts";
import type { Terminal } from "./pipeline-run.ts";
import { isBodyless } from "./response-view.ts";

/**
 * The action of a `respond` or a `redirect` route. Headers and body are made ready once; a redirect's location
 * goes out as it was written.
 * @throws TypeError for a header that cannot be sent.
 */
export function compileAnswer(action: Exclude<RouteAction, { kind: "upstream" }>): Terminal {
  const { status } = action;
  const headers = new HeaderList();
  let bytes: Uint8Array | undefined;
  if (action.kind === "redirect") {
    headers.append("location", asciiLocation(action.location));
  } else {
    for (const [name, value] of action.headers) headers.append(name, value);
    if (action.body !== "" && !isBodyless(status)) {
      bytes = new TextEncoder().encode(action.body);
      if (!headers.has("content-type")) headers.append("content-type", "text/plain; charset=utf-8");
    }
  }
  return (exchange) => {
    exchange.response = {
      status,
      headers: headers.copy(),
      body: bytes === undefined ? null : new BytesBody(bytes),
      source: "gateway",
    };
    return undefined;
  };
}

/** RFC 9110 §10.2.2: a URI reference, which has no characters beyond ASCII. */
function asciiLocation(location: string): string {
  return location.replace(/[^!-~]+/g, encodeURIComponent);
}
