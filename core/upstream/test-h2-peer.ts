import {
  ACK,
  CANCEL,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  OutBuffer,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../http2/index.ts";
import { HpackEncoder } from "../http2/hpack-encoder.ts";
import { type Peer, peer, type PeerConnection } from "./test-kit.ts";

export type Fields = readonly (readonly [name: string, value: string])[];

/* An HTTP/2 server that sends exactly the frames that a test tells it to. */

export { CANCEL, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE };

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One HTTP/2 connection as its server sees it. */
export class H2PeerConnection {
  readonly frames: SeenFrame[] = [];
  readonly raw: PeerConnection;
  readonly #encoder = new HpackEncoder();
  #read = PREFACE.byteLength;
  #wake: (() => void) | undefined;

  constructor(raw: PeerConnection) {
    this.raw = raw;
  }

  /** Reads on; answers the frames that are new. */
  advance(): SeenFrame[] {
    const bytes = Buffer.from(this.raw.received, "latin1");
    const fresh: SeenFrame[] = [];
    while (this.#read + FRAME_HEADER <= bytes.byteLength) {
      const at = this.#read;
      const end = at + FRAME_HEADER + bytes.readUIntBE(at, 3);
      if (end > bytes.byteLength) break;
      this.#read = end;
      fresh.push({
        type: bytes[at + 3]!,
        flags: bytes[at + 4]!,
        stream: bytes.readUInt32BE(at + 5),
        payload: bytes.subarray(at + FRAME_HEADER, end),
      });
    }
    this.frames.push(...fresh);
    this.#wake?.();
    return fresh;
  }

  /** The first frame that fits, once it is there. */
  async frame(fits: (frame: SeenFrame) => boolean): Promise<SeenFrame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The frames of a stream. */
  of(stream: number): SeenFrame[] {
    return this.frames.filter((seen) => seen.stream === stream);
  }

  /** What a stream's DATA carried. */
  text(stream: number): string {
    const data = this.of(stream).filter(({ type }) => type === DATA);
    return Buffer.concat(data.map(({ payload }) => payload)).toString("latin1");
  }

  head(stream: number, fields: Fields, end = false): void {
    this.send(HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream, this.block(fields));
  }

  /** A header block. */
  block(fields: Fields): Buffer {
    const out = new OutBuffer();
    this.#encoder.encode(fields.flat(), out);
    return out.bytes.subarray(0, out.end);
  }

  data(stream: number, text: string, end = false): void {
    this.raw.write(frame(DATA, end ? END_STREAM : 0, stream, Buffer.from(text, "latin1")));
  }

  resetStream(stream: number, code: number): void {
    this.raw.write(frame(RST_STREAM, 0, stream, word(code)));
  }

  goaway(lastStream: number, code = 0): void {
    this.raw.write(frame(GOAWAY, 0, 0, Buffer.concat([word(lastStream), word(code)])));
  }

  settings(...settings: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.concat(
      settings.map(([id, value]) => Buffer.concat([Buffer.of(0, id), word(value)])),
    );
    this.raw.write(frame(SETTINGS, 0, 0, payload));
  }

  window(stream: number, increment: number): void {
    this.raw.write(frame(WINDOW_UPDATE, 0, stream, word(increment)));
  }

  /** Any frame at all. */
  send(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.raw.write(frame(type, flags, stream, payload));
  }
}

export interface H2Peer extends Peer {
  readonly sessions: readonly H2PeerConnection[];
  /** The session of that index, once its preface is here. */
  session(index: number): Promise<H2PeerConnection>;
}

export interface H2PeerOptions {
  readonly maxStreams?: number;
  /** Its SETTINGS, in place of `maxStreams`. */
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** Called for each frame of a stream; the usual way to answer. */
  readonly frame?: (session: H2PeerConnection, frame: SeenFrame, index: number) => void;
}

export function h2Peer(options: H2PeerOptions = {}): H2Peer {
  const sessions: H2PeerConnection[] = [];
  const waiting = new Map<number, PromiseWithResolvers<H2PeerConnection>>();
  const raw = peer((connection, index) => {
    let session = sessions[index];
    if (session === undefined) {
      session = sessions[index] = new H2PeerConnection(connection);
      session.settings(
        ...(options.settings ?? (options.maxStreams === undefined ? [] : [[3, options.maxStreams] as const])),
      );
      waiting.get(index)?.resolve(session);
    }
    for (const seen of session.advance()) {
      if (seen.type === SETTINGS && !(seen.flags & ACK)) {
        connection.write(frame(SETTINGS, ACK, 0, new Uint8Array(0)));
      }
      if (seen.stream !== 0) options.frame?.(session, seen, index);
    }
  });
  return {
    ...raw,
    sessions,
    session(index) {
      const there = sessions[index];
      if (there !== undefined) return Promise.resolve(there);
      const awaited = waiting.get(index) ?? Promise.withResolvers<H2PeerConnection>();
      waiting.set(index, awaited);
      return awaited.promise;
    },
  };
}

export const OK_HEAD: Fields = [[":status", "200"]];

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const out = new OutBuffer();
  out.frame(payload.byteLength, type, flags, stream);
  out.append(payload);
  return out.bytes.subarray(0, out.end);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
