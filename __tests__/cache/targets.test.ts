import http2 from "node:http2";
import { type AddressInfo, connect } from "node:net";
import express, { type RequestHandler } from "express";
import { type CacheOptions, cache } from "../../src/cache/index.js";
import { closeServers, listen, until } from "../support/server.js";
import { oneIn } from "../support/soak.js";
import { appWith, useClock } from "./support.js";

describe("targets", () => {
  useClock();

  /** An app that makes links to itself from all that Express and Node say of the request. */
  const links: express.RequestHandler = (req, res) => {
    res.set("Cache-Control", "max-age=60");
    res.json({
      host: req.headers.host,
      link: `${req.protocol}://${req.host}${req.originalUrl}`,
      url: req.url,
    });
  };

  async function shop(options?: CacheOptions, setup: (app: express.Express) => void = () => {}) {
    let runs = 0;
    const cached = cache(options);
    const app = express();
    setup(app);
    app.use(cached);
    app.use((req, res, next) => {
      runs++;
      links(req, res, next);
    });
    const { url } = await listen(app);
    const port = Number(new URL(url).port);
    return { cached, runs: () => runs, ask: (head: string, body = "") => rawAsk(port, head, body) };
  }

  /** Sends a raw head, with CRLF for LF, and closes the connection. */
  function rawAsk(
    port: number,
    head: string,
    body = "",
  ): Promise<{ did: string; text: string; head: string }> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      let all = "";
      socket.setEncoding("latin1");
      socket.on("data", (data: string) => (all += data));
      socket.on("error", reject);
      socket.on("close", () => {
        const at = all.indexOf("\r\n\r\n");
        const answered = all.slice(0, at);
        const did = /^cache-status: (?:.*, )?portico; (.*)$/im.exec(answered)?.[1] ?? "";
        resolve({ did, head: answered, text: all.slice(at + 4) });
      });
      const lines = `${head}\nConnection: close\n\n`.replaceAll("\n", "\r\n");
      socket.write(lines + body);
    });
  }

  const PLAIN = "GET /page HTTP/1.1\nHost: www.shop.example";

  describe("a target that the app may read in another way than the key says bypasses the cache", () => {
    test.each([
      ["another host than Host", "GET http://www.shop.example/page HTTP/1.1\nHost: evil.example"],
      [
        "another host, and the visitors' in Host",
        "GET http://evil.example/page HTTP/1.1\nHost: www.shop.example",
      ],
      ["another port than Host", "GET http://www.shop.example:81/page HTTP/1.1\nHost: www.shop.example"],
      [
        "a port that Host does not have",
        "GET http://www.shop.example:80/page HTTP/1.1\nHost: www.shop.example",
      ],
      ["a trailing dot", "GET http://www.shop.example./page HTTP/1.1\nHost: www.shop.example"],
      ["userinfo", "GET http://evil.example@www.shop.example/page HTTP/1.1\nHost: www.shop.example"],
      ["userinfo on both sides", "GET http://evil@www.shop.example/page HTTP/1.1\nHost: www.shop.example"],
      ["no host", "GET http:///page HTTP/1.1\nHost: www.shop.example"],
      ["no Host field", "GET http://www.shop.example/page HTTP/1.0"],
      ["another scheme", "GET https://www.shop.example/page HTTP/1.1\nHost: www.shop.example"],
      ["a scheme that is not of the web", "GET ftp://www.shop.example/page HTTP/1.1\nHost: www.shop.example"],
      ["a fragment", 'GET /page#"><script>alert(1)</script> HTTP/1.1\nHost: www.shop.example'],
      ["an empty fragment", "GET /page# HTTP/1.1\nHost: www.shop.example"],
      ["a fragment behind a query", "GET /page?a=1#b HTTP/1.1\nHost: www.shop.example"],
      [
        "a fragment in an absolute one",
        "GET http://www.shop.example/page#x HTTP/1.1\nHost: www.shop.example",
      ],
    ])("%s", async (_name, attack) => {
      for (const options of oneIn(2, [{}, { hosts: ["www.shop.example"] }, { key: () => "all" }])) {
        const app = await shop(options);
        const answer = await app.ask(attack);
        if (!answer.head.includes(" 200 ")) continue; // Node's own parser refuses this one
        expect(answer.did).toBe("fwd=bypass; detail=target");
        await app.ask(attack);
        const victim = await app.ask(PLAIN);
        expect(JSON.parse(victim.text)).toEqual({
          host: "www.shop.example",
          link: "http://www.shop.example/page",
          url: "/page",
        });
        expect((await app.ask(PLAIN)).did).toMatch(/^hit/);
        expect((await app.ask(attack)).did).toBe("fwd=bypass; detail=target"); // and is not served what is stored
      }
    });

    test("a whole URL with the host of Host is served what is stored, and its answer is not stored", async () => {
      const app = await shop();
      const absolute = "GET HTTP://WWW.shop.example/page HTTP/1.1\nHost: www.Shop.example";
      const first = await app.ask(absolute);
      expect(first.did).toBe("fwd=uri-miss");
      const plain = await app.ask(PLAIN);
      expect([plain.did, JSON.parse(plain.text).link]).toEqual([
        "fwd=uri-miss; stored",
        "http://www.shop.example/page",
      ]);
      const second = await app.ask(absolute);
      expect([second.did, second.text]).toEqual([expect.stringMatching(/^hit/), plain.text]);
      expect((await app.ask("GET http://www.shop.example HTTP/1.1\nHost: www.shop.example")).did).toBe(
        "fwd=uri-miss",
      );
    });

    test("an unsafe method with such a target still purges what is stored", async () => {
      const app = await shop();
      for (const target of ["/page#x", "http://evil.example/page", "http://www.shop.example/page"]) {
        await app.ask(PLAIN);
        expect((await app.ask(PLAIN)).did).toMatch(/^hit/);
        await app.ask(`DELETE ${target} HTTP/1.1\nHost: www.shop.example`);
        expect((await app.ask(PLAIN)).did).toMatch(/^fwd/);
      }
    });

    test("over HTTP/2 without serve: :authority and Host that differ, an absolute :path, a fragment", async () => {
      const cached = cache();
      const seen: string[] = [];
      // With Node's own HTTP/2 request and response, as some frameworks call a handler.
      const server = http2.createServer((req, res) => {
        cached(req as never, res as never, () => {
          res.setHeader("Cache-Control", "max-age=60");
          res.end(`${req.headers.host ?? req.headers[":authority"]} ${req.url}`);
        });
        res.on("finish", () => seen.push(String(res.getHeader("cache-status"))));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const ask = (headers: http2.OutgoingHttpHeaders) =>
        new Promise<[string, string]>((resolve, reject) => {
          const stream = client.request({ ":authority": "www.shop.example", ":path": "/page", ...headers });
          let text = "";
          let did = "";
          stream.setEncoding("utf8");
          stream.on("response", (head) => (did = String(head["cache-status"])));
          stream.on("data", (data: string) => (text += data));
          stream.on("error", reject);
          stream.on("end", () => resolve([did, text]));
          stream.end();
        });
      try {
        expect(await ask({ host: "evil.example" })).toEqual([
          "portico; fwd=bypass; detail=target",
          "evil.example /page",
        ]);
        // With the schemes http and https, nghttp2 itself refuses such a path.
        for (const path of ["http://www.shop.example/page", "http://evil.example/page", "page"]) {
          const [did] = await ask({ ":scheme": "x", ":path": path, host: "evil.example" });
          expect(did).toBe("portico; fwd=bypass; detail=target");
          expect((await ask({ ":scheme": "x", ":path": path.replace("www.shop", "evil") }))[0]).toMatch(
            /target$/,
          );
        }
        expect((await ask({ ":path": "/page#x" }))[0]).toMatch(/target$/);
        expect(await ask({})).toEqual(["portico; fwd=uri-miss; stored", "www.shop.example /page"]);
        expect(await ask({})).toEqual([expect.stringMatching(/^portico; hit/), "www.shop.example /page"]);
      } finally {
        client.close();
        server.close();
        await closeServers();
      }
    });
  });

  describe("what is not in the URL, but read by apps", () => {
    test.each([
      ["a port that says nothing new", "www.shop.example:80", {}],
      ["that port behind a proxy with TLS", "Www.Shop.Example:80", { "x-forwarded-proto": "https" }],
      ["the port of https", "www.shop.example:443", {}],
      ["another port", "www.shop.example:8080", {}],
      ["a port of letters", "www.shop.example:evil", {}],
      ["a trailing dot", "www.shop.example.", {}],
      ["X-Forwarded-Host", "www.shop.example", { "x-forwarded-host": "evil.example" }],
      ["X-Forwarded-Proto", "www.shop.example", { "x-forwarded-proto": "nothttps" }],
      ["X-Forwarded-Port", "www.shop.example", { "x-forwarded-port": "1337" }],
      ["X-Forwarded-Prefix", "www.shop.example", { "x-forwarded-prefix": "/evil" }],
      ["X-Forwarded-Scheme", "www.shop.example", { "x-forwarded-scheme": "http" }],
      ["Forwarded", "www.shop.example", { forwarded: "host=evil.example" }],
      ["X-Original-URL", "www.shop.example", { "x-original-url": "/evil" }],
      ["X-Rewrite-URL", "www.shop.example", { "x-rewrite-url": "/evil" }],
      ["X-HTTP-Method-Override", "www.shop.example", { "x-http-method-override": "POST" }],
    ])("%s has its own entry, and a purge reaches it", async (_name, host, headers) => {
      const app = await appWith(links, { setup: (express) => express.set("trust proxy", true) });
      const common =
        headers["x-forwarded-proto" as never] === "https" ? { "x-forwarded-proto": "https" } : {};
      const attack = { host, ...headers };
      const first = await app.get("/page", attack);
      const victim = await app.get("/page", { host: "www.shop.example", ...common });
      expect(victim.did).toMatch(/^fwd=.*stored$/);
      expect(JSON.parse(victim.text).link).toBe(
        `${common["x-forwarded-proto"] ?? "http"}://www.shop.example/page`,
      );
      expect((await app.get("/page", attack)).text).toBe(first.text);
      await app.cached.purge("/page");
      expect((await app.get("/page", attack)).did).toMatch(/^fwd/);
      await app.get("/page", { host: "www.shop.example" });
      if (/^www\.shop\.example(?::80|:443)?$/i.test(host)) {
        await app.cached.purge("https://www.shop.example/page");
        expect((await app.get("/page", attack)).did).toMatch(/^fwd/);
        await app.cached.purge("http://www.shop.example:80/page");
        expect((await app.get("/page", attack)).did).toMatch(/^fwd/);
      }
    });

    test("a path with two slashes has another key", async () => {
      const app = await shop();
      await app.ask("GET //evil.example/page HTTP/1.1\nHost: www.shop.example");
      expect((await app.ask(PLAIN)).did).toMatch(/^fwd/);
      expect((await app.ask("GET /evil.example/page HTTP/1.1\nHost: www.shop.example")).did).toMatch(/^fwd/);
    });

    test.each([
      ["before the cache", true],
      ["behind the cache", false],
    ])("with a method override %s the answer to another method is never stored as the page", async (_name, outside) => {
      // As the package method-override does.
      const override: express.RequestHandler = (req, _res, next) => {
        Object.assign(req, { originalMethod: req.method, method: req.get("x-method") ?? req.method });
        next();
      };
      const handler: express.RequestHandler = (req, res) =>
        void res.set("Cache-Control", "max-age=60").send(`answer to ${req.method}`);
      const inside: express.RequestHandler = (req, res, next) =>
        override(req, res, () => handler(req, res, next));
      const app = await appWith(outside ? handler : inside, { before: outside ? [override] : [] });
      for (const [method, over] of [
        ["GET", "POST"],
        ["GET", "HEAD"],
        ["POST", "GET"],
      ] as const) {
        // Express sends a HEAD's answer without its body: a broken message, for a GET.
        await app.send(method, "/", { "x-method": over, "content-length": 0 }).catch(() => {});
        expect((await app.get()).text).toBe("answer to GET");
        await app.cached.clear();
      }
    });

    test.each([
      ["Accept-Language", true],
      ["close, Accept-Language", true],
      ["keep-alive, x-forwarded-host", true],
      ["keep-alive, close", false],
      ["Keep-Alive", false],
      ["close , ,TE", false],
    ])("Connection: %s", async (connection, isForOthers) => {
      const app = await appWith((_req, res) => void res.set("Cache-Control", "max-age=60").send("x"));
      const { did } = await app.get("/", { connection });
      expect(did).toBe(isForOthers ? "fwd=bypass; detail=connection" : "fwd=uri-miss; stored");
    });

    test.each([
      [400],
      [404],
      [413],
      [431],
      [500],
    ])("an error that a client can cause with a header (%i) is stored only if the app gives it a lifetime", async (status) => {
      const app = await appWith((req, res) => {
        if (req.headers["x-oversized"] !== undefined) res.status(status).send("bad");
        else res.set("Cache-Control", "max-age=60").send("page");
      });
      expect((await app.get("/", { "x-oversized": "x".repeat(8_000) })).status).toBe(status);
      expect((await app.get()).text).toBe("page");
    });

    test("a private page under a path that looks like a file is not stored", async () => {
      const app = await appWith((req, res) => void res.send(`account of ${req.headers.cookie ?? "nobody"}`));
      for (const path of ["/account/x.css", "/account;x.js", "/account%2fx.png", "/account?x.css"]) {
        expect((await app.get(path, { cookie: "sid=alice" })).text).toBe("account of sid=alice");
        expect((await app.get(path)).text).toBe("account of nobody");
      }
      expect((await app.cached.stats()).entries).toBe(0);
    });
  });
});

describe("purge", () => {
  useClock();

  function counted(headers: Record<string, string> = {}): RequestHandler {
    let count = 0;
    return (req, res) => {
      if (req.method === "GET") res.set({ "Cache-Control": "max-age=60", ...headers }).send(`${++count}`);
      else
        res
          .status(Number(req.get("x-status") ?? 200))
          .set(JSON.parse(req.get("x-answer") ?? "{}"))
          .end();
    };
  }

  describe("unsafe methods", () => {
    test.each([
      "POST",
      "PUT",
      "DELETE",
      "PATCH",
      "PURGE",
    ])("%s purges its own resource, in all variants", async (method) => {
      const app = await appWith(counted({ Vary: "Accept-Language" }));
      for (const language of ["fr", "de"]) await app.get("/a", { "accept-language": language });
      await app.get("/b");
      const answer = await app.send(method, "/a");
      expect(answer.did).toBe("fwd=method");
      for (const language of ["fr", "de"]) {
        expect((await app.get("/a", { "accept-language": language })).did).toMatch(/^fwd=/);
      }
      expect((await app.get("/b")).did).toMatch(/^hit/);
    });

    test.each([
      [200, true],
      [201, true],
      [303, true],
      [400, false],
      [404, false],
      [500, false],
    ])("an unsafe method answered with %i purges its resource: %s", async (status, forgotten) => {
      const app = await appWith(counted());
      await app.get("/a");
      await app.send("POST", "/a", { "x-status": status });
      expect((await app.get("/a")).did.startsWith("fwd")).toBe(forgotten);
    });

    test.each(["HEAD", "OPTIONS", "TRACE"])("%s purges nothing", async (method) => {
      const app = await appWith(counted());
      await app.get("/a");
      await app.send(method, "/a");
      expect((await app.get("/a")).did).toMatch(/^hit/);
    });

    test.each([
      [{ Location: "/b" }, true],
      [{ "Content-Location": "b" }, true],
      [{ Location: "http://www.example/b" }, true],
      [{ Location: "http://evil.example/b" }, false],
      [{ Location: "http://:::/" }, false],
    ])("an answer with %j purges /b: %s", async (headers, forgotten) => {
      const app = await appWith(counted());
      const host = "www.example";
      await app.get("/b", { host });
      await app.send("POST", "/a", { host, "x-answer": JSON.stringify(headers) });
      expect((await app.get("/b", { host })).did.startsWith("fwd")).toBe(forgotten);
    });

    test("the body of an unsafe method is left to the handlers", async () => {
      const app = await appWith((req, res) => {
        let body = "";
        req.on("data", (chunk) => {
          body += String(chunk);
        });
        req.on("end", () => res.send(body));
      });
      expect((await app.send("POST", "/", {}, "hello")).text).toBe("hello");
    });

    test("an answer that is in flight while an unsafe method changes it is not stored", async () => {
      let value = "old";
      let finish: () => void = () => {};
      const app = await appWith((req, res) => {
        if (req.method === "POST") {
          value = "new";
          return void res.end();
        }
        const read = value;
        const answer = () => res.set("Cache-Control", "max-age=60").send(read);
        if (read === "new") answer();
        else finish = answer;
      });
      const slow = app.get();
      await until(() => app.runs() === 1);
      await app.send("POST");
      finish();
      expect((await slow).text).toBe("old");
      expect((await app.get()).text).toBe("new");
    });
  });

  describe("purge", () => {
    test("purge of a path reaches all hosts, variants and partitions", async () => {
      const app = await appWith(counted({ Vary: "Accept" }));
      const hosts = ["a.example", "b.example"];
      for (const host of hosts) {
        await app.get("/p?q=1", { host });
        await app.get("/p?q=1", { host, accept: "x/y" });
        await app.get("/p?q=1", { host, "x-forwarded-proto": "https" });
        await app.get("/p", { host });
      }
      await app.cached.purge("/p?q=1");
      for (const host of hosts) {
        expect((await app.get("/p?q=1", { host })).did).toMatch(/^fwd/);
        expect((await app.get("/p?q=1", { host, accept: "x/y" })).did).toMatch(/^fwd/);
        expect((await app.get("/p?q=1", { host, "x-forwarded-proto": "https" })).did).toMatch(/^fwd/);
        expect((await app.get("/p", { host })).did).toMatch(/^hit/);
      }
    });

    test("purge of an absolute URL reaches its host only", async () => {
      const app = await appWith(counted());
      await app.get("/p", { host: "a.example" });
      await app.get("/p", { host: "b.example" });
      await app.cached.purge("https://A.example/p");
      expect((await app.get("/p", { host: "a.example" })).did).toMatch(/^fwd/);
      expect((await app.get("/p", { host: "b.example" })).did).toMatch(/^hit/);
    });

    test.each(["", "p", "ftp://a.example/", undefined, 7])("purge of %j is refused", async (url) => {
      const app = await appWith(counted());
      await expect(app.cached.purge(url as string)).rejects.toThrow(TypeError);
    });

    test.each([
      ["Cache-Tag", "news, product-1"],
      ["Surrogate-Key", "news product-1"],
    ])("purge by a tag of %s", async (name, value) => {
      const app = await appWith(counted({ [name]: value }));
      await app.get("/a");
      await app.get("/b");
      await app.cached.purgeTag("product");
      expect((await app.get("/a")).did).toMatch(/^hit/);
      await app.cached.purgeTag("product-1");
      expect((await app.get("/a")).did).toMatch(/^fwd/);
      expect((await app.get("/b")).did).toMatch(/^fwd/);
      await expect(app.cached.purgeTag("")).rejects.toThrow(TypeError);
    });

    test("after a purge during a fetch the old answer is not stored", async () => {
      let finish: () => void = () => {};
      const app = await appWith((_req, res) => {
        finish = () => res.set({ "Cache-Control": "max-age=60", "Cache-Tag": "t" }).send("x");
        if (app.runs() > 2) finish();
      });
      for (const purge of [() => app.cached.purgeTag("t"), () => app.cached.purge("/")]) {
        const slow = app.get();
        const runs = app.runs();
        await until(() => app.runs() > runs);
        await purge();
        finish();
        await slow;
      }
      expect((await app.get()).did).toMatch(/^fwd/);
    });

    test("clear removes all; stats count what was done", async () => {
      const app = await appWith(counted());
      await app.get("/a");
      await app.get("/a");
      await app.get("/b");
      await app.get("/b", { cookie: "a=1" });
      expect(await app.cached.stats()).toMatchObject({
        hits: 1,
        misses: 2,
        stale: 0,
        bypasses: 1,
        entries: 2,
      });
      expect((await app.cached.stats()).bytes).toBeGreaterThan(0);
      await app.cached.clear();
      expect(await app.cached.stats()).toMatchObject({ entries: 0, bytes: 0 });
      expect((await app.get("/a")).did).toMatch(/^fwd/);
    });
  });
});
