import { type ClientHttp2Session, connect } from "node:http2";
import { HeaderList, SluiceError } from "sluice/plugin";
import { createFakeClock, createSeededRandom } from "sluice/testing";
import type { Limits } from "../../config/types.ts";
import type { Inbound } from "../listener/inbound.ts";
import { type TestListener, testListener } from "../listener/test-listener.ts";
import { type Harness, TestExchange } from "./test-harness.ts";

/** A listener in front of a forwarder, and a client's HTTP/2 connection to it. */
export interface Through extends Disposable {
  readonly served: TestListener;
  readonly session: ClientHttp2Session;
}

const CLIENT = { address: "203.0.113.7", fromTrustedProxy: false };

/** Requests go to the upstream that their path names (`/u`); a failure is answered by its status alone. */
export async function through(gate: Harness, limits: Partial<Limits> = {}): Promise<Through> {
  const services = { clock: createFakeClock(), random: createSeededRandom(1) };
  const forward = async (inbound: Inbound): Promise<void> => {
    const x = new TestExchange(inbound, inbound.rawTarget, "", CLIENT, 0, services);
    x.candidates = [{ upstream: inbound.rawTarget.slice(1) }];
    try {
      await gate.forwarder.forward(x);
      void inbound.respond(x.response!.status, x.response!.headers, x.response!.body);
    } catch (error) {
      void inbound.respond(SluiceError.from(error, "internal").status, new HeaderList(), null);
    }
  };
  const served = await testListener(forward, { limits });
  const session = connect(`http://127.0.0.1:${served.port}`);
  session.on("error", () => {});
  return {
    served,
    session,
    [Symbol.dispose]() {
      session.destroy();
      served[Symbol.dispose]();
    },
  };
}
