import { compress } from "../../src/compress/index.js";
import { expressVersions } from "../support/express.js";
import { closeServers, listen } from "../support/server.js";
import { ask, ENCODINGS, text } from "./support.js";

afterEach(closeServers);

describe.each(expressVersions)("%s", (_version, express) => {
  it("sends, streams, and answers errors", async () => {
    const app = express();
    app.set("env", "test");
    app.use(compress());
    app.get("/json", (_req, res) => void res.json({ text: text(5_000) }));
    app.get("/parts", (_req, res) => {
      res.type("text").write(text(5_000));
      setImmediate(() => res.end(text(5_000)));
    });
    app.use((_req, _res, next) => next(new Error(text(5_000))));
    const server = await listen(app);
    for (const accept of ENCODINGS) {
      const json = await ask(server, { path: "/json", accept });
      expect([json.status, json.encoding, json.body]).toEqual([
        200,
        accept,
        JSON.stringify({ text: text(5_000) }),
      ]);
      const parts = await ask(server, { path: "/parts", accept });
      expect([parts.status, parts.encoding, parts.body]).toEqual([200, accept, text(5_000) + text(5_000)]);
      const failed = await ask(server, { path: "/fails", accept });
      expect([failed.status, failed.encoding, failed.isWhole]).toEqual([500, accept, true]);
    }
    const fresh = await ask(server, { path: "/json", accept: "gzip" });
    const again = await ask(server, {
      path: "/json",
      accept: "gzip",
      headers: { "If-None-Match": fresh.headers.etag! },
    });
    expect([again.status, again.headers.vary, again.raw.length]).toEqual([304, "Accept-Encoding", 0]);
  });
});
