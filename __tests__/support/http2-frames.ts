import tls from "node:tls";
import { until } from "./server.js";

/** RFC 9113, section 6. */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** RFC 9113, section 7. */
export const CODE = { noError: 0, protocolError: 1, internalError: 2, cancel: 8, calm: 11 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export type Fields = readonly (readonly [name: string, value: string])[];

/** The fields of a request, pseudo-headers first. */
export function request(method: string, path: string, fields: Fields = []): Fields {
  return [[":method", method], [":scheme", "https"], [":authority", "localhost"], [":path", path], ...fields];
}

/** HPACK (RFC 7541): each field as a literal without indexing, with a new name and no Huffman code. */
export function encodeFields(fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    parts.push(Buffer.from([0]), encodeText(name), encodeText(value));
  }
  return Buffer.concat(parts);
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const length: number[] = [];
  if (bytes.length < 127) {
    length.push(bytes.length);
  } else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

function encodeFrame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
}

/** Decodes the whole frames at the beginning of `bytes`; returns the rest. */
function decodeFrames(bytes: Buffer, take: (frame: Frame) => void): Buffer {
  let at = 0;
  while (bytes.length - at >= 9) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (bytes.length < end) break;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    take({ type: bytes[at + 3]!, flags: bytes[at + 4]!, stream, payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return bytes.subarray(at);
}

/** The statuses in HPACK's static table, from index 8. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];
const HUFFMAN_DIGITS = ["00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101"];
HUFFMAN_DIGITS.push("011110", "011111");

/** `:status` of a response's head. nghttp2 sends it first, after the update of the table size that our settings cause. */
function statusOf({ payload }: Frame): number | undefined {
  let at = 0;
  while ((payload[at]! & 0xe0) === 0x20) at++;
  const first = payload[at]!;
  if (first >= 0x88 && first <= 0x8e) return STATUSES[first - 0x88];
  if ((first & 0x0f) < 8 || (first & 0x0f) > 14) return undefined;
  const length = payload[at + 1]! & 0x7f;
  const value = payload.subarray(at + 2, at + 2 + length);
  if ((payload[at + 1]! & 0x80) === 0) return Number(value.toString("latin1"));
  let bits = [...value].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let digits = "";
  while (digits.length < 3) {
    const digit = HUFFMAN_DIGITS.findIndex((code) => bits.startsWith(code));
    if (digit === -1) return undefined;
    digits += digit;
    bits = bits.slice(HUFFMAN_DIGITS[digit]!.length);
  }
  return Number(digits);
}

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** No dynamic table, no push. */
const SETTINGS: readonly (readonly [id: number, value: number])[] = [
  [1, 0],
  [2, 0],
];

export interface HeadersOptions {
  readonly endStream?: boolean;
  /** False: CONTINUATION frames follow. */
  readonly endHeaders?: boolean;
}

const clients = new Set<FrameClient>();

/**
 * An HTTP/2 client over TLS that sends exactly the frames that a test writes, also in a wrong order. Node's client ends the
 * body of a stream before it resets the stream, so with it a server never sees an aborted upload.
 */
export class FrameClient {
  readonly received: Frame[] = [];
  /** Whether the server has closed the connection. */
  closed = false;
  /** Do not answer SETTINGS and PING, as within the head of a request, where nothing else may be sent. */
  isMute = false;
  private rest: Buffer = Buffer.alloc(0);
  private corked: Buffer[] | undefined;

  private constructor(readonly socket: tls.TLSSocket) {
    clients.add(this);
    socket.setNoDelay();
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      clients.delete(this);
    });
    socket.on("data", (chunk: Buffer) => {
      this.rest = decodeFrames(Buffer.concat([this.rest, chunk]), (frame) => this.take(frame));
    });
  }

  /** @param settings instead of those that ask for no push and no dynamic table */
  static async connect(port: number, settings = SETTINGS): Promise<FrameClient> {
    const socket = tls.connect({ port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    });
    const client = new FrameClient(socket);
    client.batch(() => {
      client.send(PREFACE);
      client.settings(settings);
    });
    return client;
  }

  /** Writes everything that is sent within as one piece, so that the server reads it at once. */
  batch(send: () => void): void {
    this.corked = [];
    send();
    const all = Buffer.concat(this.corked);
    this.corked = undefined;
    this.send(all);
  }

  send(bytes: Buffer): void {
    if (this.corked !== undefined) this.corked.push(bytes);
    else if (this.socket.writable) this.socket.write(bytes);
  }

  frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
    this.send(encodeFrame(type, flags, stream, payload));
  }

  headers(stream: number, fields: Fields, { endStream = false, endHeaders = true }: HeadersOptions = {}) {
    const flags = (endStream ? FLAG.endStream : 0) | (endHeaders ? FLAG.endHeaders : 0);
    this.frame(TYPE.headers, flags, stream, encodeFields(fields));
  }

  continuation(stream: number, block: Buffer, endHeaders = true): void {
    this.frame(TYPE.continuation, endHeaders ? FLAG.endHeaders : 0, stream, block);
  }

  data(stream: number, body: string | Buffer, endStream = false): void {
    this.frame(
      TYPE.data,
      endStream ? FLAG.endStream : 0,
      stream,
      typeof body === "string" ? Buffer.from(body, "latin1") : body,
    );
  }

  reset(stream: number, code: number = CODE.cancel): void {
    this.frame(TYPE.rstStream, 0, stream, uint32(code));
  }

  windowUpdate(stream: number, increment: number): void {
    this.frame(TYPE.windowUpdate, 0, stream, uint32(increment));
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.alloc(6 * settings.length);
    settings.forEach(([id, value], i) => {
      payload.writeUInt16BE(id, 6 * i);
      payload.writeUInt32BE(value >>> 0, 6 * i + 2);
    });
    this.frame(TYPE.settings, 0, 0, payload);
  }

  ping(payload = Buffer.alloc(8)): void {
    this.frame(TYPE.ping, 0, 0, payload);
  }

  priority(stream: number, on = 0, weight = 15): void {
    this.frame(TYPE.priority, 0, stream, Buffer.concat([uint32(on), Buffer.from([weight])]));
  }

  goaway(code: number = CODE.noError, last = 0): void {
    this.frame(TYPE.goaway, 0, 0, uint32(last, code));
  }

  /** The frames of one stream, in order. */
  of(stream: number): Frame[] {
    return this.received.filter((frame) => frame.stream === stream);
  }

  /** The final status of a stream's response; undefined while there is none. */
  status(stream: number): number | undefined {
    return this.of(stream)
      .filter(({ type }) => type === TYPE.headers)
      .map(statusOf)
      .find((status) => status !== undefined && status >= 200);
  }

  body(stream: number): string {
    const parts = this.of(stream).filter(({ type }) => type === TYPE.data);
    return Buffer.concat(parts.map(({ payload }) => payload)).toString("latin1");
  }

  /** Whether a stream's response has ended regularly. */
  hasEnded(stream: number): boolean {
    return this.of(stream).some(
      ({ type, flags }) => (type === TYPE.data || type === TYPE.headers) && (flags & FLAG.endStream) !== 0,
    );
  }

  /** The code of the RST_STREAM that the server sent for a stream. */
  resetCode(stream: number): number | undefined {
    return this.of(stream)
      .find(({ type }) => type === TYPE.rstStream)
      ?.payload.readUInt32BE(0);
  }

  /** Sends a PING, and resolves when the server has acknowledged it: it has then read everything that was sent before. */
  async caughtUp(): Promise<void> {
    const token = Buffer.alloc(8);
    token.writeUInt32BE(++FrameClient.pings, 4);
    token[0] = 1;
    this.ping(token);
    const isIt = ({ type, flags, payload }: Frame) =>
      type === TYPE.ping && (flags & FLAG.ack) !== 0 && payload.equals(token);
    await until(() => this.closed || this.received.some(isIt));
  }
  private static pings = 0;

  async close(): Promise<void> {
    this.socket.destroy();
    await until(() => this.closed);
  }

  private take(frame: Frame): void {
    this.received.push(frame);
    if (this.isMute || (frame.flags & FLAG.ack) !== 0) return;
    if (frame.type === TYPE.settings) this.frame(TYPE.settings, FLAG.ack, 0);
    if (frame.type === TYPE.ping) this.frame(TYPE.ping, FLAG.ack, 0, frame.payload);
  }
}

/** For `afterEach`. */
export async function closeFrameClients(): Promise<void> {
  await Promise.all([...clients].map((client) => client.close()));
}
