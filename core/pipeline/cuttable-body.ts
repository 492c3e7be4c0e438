import type { Body, HeaderList } from "sluice/plugin";
import type { HttpExchange } from "./exchange.ts";

/**
 * The streamed body of an answer that a plugin made. Nothing else ties it to the request: when that is cut, the
 * client must see a broken answer although the plugin's stream goes on.
 */
export class CuttableBody implements Body {
  readonly #body: Body;
  #cut: { readonly reason: unknown } | undefined;
  #reject: ((reason: unknown) => void) | undefined;

  constructor(body: Body, exchange: HttpExchange) {
    this.#body = body;
    exchange.onCancel((reason) => {
      this.#cut = { reason };
      this.#reject?.(reason);
      body.cancel(reason);
    });
  }

  get length(): number | undefined {
    return this.#body.length;
  }

  get trailers(): HeaderList | undefined {
    return this.#body.trailers;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    if (this.#cut !== undefined) return Promise.reject(this.#cut.reason);
    const next = this.#body.read();
    if (!(next instanceof Promise)) return next;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      next.then(resolve, reject);
    });
  }

  cancel(reason?: unknown): void {
    this.#body.cancel(reason);
  }
}
