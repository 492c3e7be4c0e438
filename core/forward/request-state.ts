import type { Body } from "sluice/plugin";
import type { GatewayExchange } from "../pipeline/types.ts";

/**
 * A request as the steps have left it: each candidate begins with that, so that nothing that was meant for one of them (a
 * path, a credential, a body) reaches another.
 */
export class RequestState {
  readonly body: Body | null;
  readonly #method: string;
  readonly #path: string;
  readonly #search: string;
  readonly #fields: readonly string[];

  constructor({ method, path, search, headers, body }: GatewayExchange["request"]) {
    this.body = body;
    this.#method = method;
    this.#path = path;
    this.#search = search;
    this.#fields = headers.flat.slice();
  }

  /** Takes back what was changed since. */
  restore(request: GatewayExchange["request"]): void {
    request.method = this.#method;
    request.path = this.#path;
    request.search = this.#search;
    request.body = this.body;
    const { flat } = request.headers;
    flat.length = 0;
    for (const text of this.#fields) flat.push(text);
  }
}
