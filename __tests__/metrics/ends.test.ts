import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_URL_SCHEME,
} from "@opentelemetry/semantic-conventions";
import { serve } from "../../src/index.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { closeHttp2, connectHttp2 } from "../support/http2.js";
import { closeServers, listen, until } from "../support/server.js";
import { HTTP2_KINDS, type Http2Kind, KINDS, type Kind, makeApp } from "./kinds.js";
import { ended, inMeter, inRegistry, type Labels, newIn, type Point } from "./support.js";

const DURATION = "http_server_request_duration_seconds";
const OTEL_DURATION = "http.server.request.duration";

afterAll(async () => {
  await closeHttp2();
  await closeServers();
});

/** Labels without those that are empty. */
function set(labels: Readonly<Record<string, string | number | undefined>>): Labels {
  return Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}

describe.each(expressVersions)("each end is counted once, on %s", (version, express) => {
  const registry = inRegistry();
  const meter = inMeter();
  const lines: string[] = [];
  // One of them twice: with the same registry a request is counted once.
  const app = makeApp(
    express,
    [registry.handler, meter.handler, inRegistry().handler, registry.handler],
    lines,
  );
  let to = { app, url: "", port: 0 };
  let count = 0;
  beforeAll(async () => {
    const { url, port } = await listen(app);
    to = { app, url, port };
  });
  afterAll(meter.close);

  async function all() {
    const read = async (name: string, dotted: string) => [
      await registry.read(name),
      await meter.read(dotted),
    ];
    return {
      durations: (await read(DURATION, OTEL_DURATION)) as [Point[], Point[]],
      refused: (await read("portico_refused_total", "portico.refused")) as [Point[], Point[]],
      cache: (await read("portico_cache_total", "portico.cache")) as [Point[], Point[]],
    };
  }

  async function check(kind: Kind | Http2Kind, scheme: string, send: () => Promise<unknown>) {
    const { method = "GET", route, status, error, refused, cache } = kind;
    const before = await all();
    await send();
    count++;
    await ended(registry.read, DURATION, count);
    await until(() => lines.length === count);
    const after = await all();
    expect(newIn(before.durations[0], after.durations[0])).toEqual([
      {
        http_request_method: method,
        http_route: route ?? "",
        http_response_status_code: status,
        error_type: error ?? "",
      },
    ]);
    expect(newIn(before.durations[1], after.durations[1])).toEqual([
      set({
        [ATTR_HTTP_REQUEST_METHOD]: method,
        [ATTR_URL_SCHEME]: scheme,
        [ATTR_HTTP_RESPONSE_STATUS_CODE]: status,
        [ATTR_HTTP_ROUTE]: route,
        [ATTR_ERROR_TYPE]: error,
      }),
    ]);
    const [by, reason] = refused ?? [];
    expect(newIn(before.refused[0], after.refused[0])).toEqual(refused ? [{ by, reason }] : []);
    expect(newIn(before.refused[1], after.refused[1])).toEqual(
      refused ? [{ "portico.refused.by": by, "portico.refused.reason": reason }] : [],
    );
    expect(newIn(before.cache[0], after.cache[0])).toEqual(cache ? [{ result: cache }] : []);
    expect(newIn(before.cache[1], after.cache[1])).toEqual(cache ? [{ "portico.cache.result": cache }] : []);
    // The log says the same.
    const entry = JSON.parse(lines.at(-1)!) as Record<string, unknown>;
    expect(entry).toMatchObject(set({ status, route, cache }));
    expect(entry.refused).toEqual(refused && { by, reason });
  }

  it.each(KINDS.map((kind) => [kind.name, kind] as const))("%s", async (_name, kind) => {
    await check(kind, "http", () => kind.send(to));
  });

  it("nothing is active when all have ended", async () => {
    expect(await registry.read("http_server_active_requests")).toEqual([]);
    expect(await meter.read("http.server.active_requests")).toEqual([]);
  });

  if (version !== "Express 5") return; // HTTP/2 needs Express 5
  describe("over HTTP/2", () => {
    let served: Awaited<ReturnType<typeof serve>>;
    beforeAll(async () => {
      served = await serve(app, {
        port: 0,
        host: "127.0.0.1",
        tls: await certificate(),
        http2: true,
        signals: [],
        logger: { debug() {}, info() {}, warn() {}, error() {} },
      });
    });
    afterAll(() => served.close());

    it.each(HTTP2_KINDS.map((kind) => [kind.name, kind] as const))("%s", async (_name, kind) => {
      const session = connectHttp2(served.url);
      await check(kind, "https", () => kind.send(session, app));
      session.destroy();
    });
  });
});
