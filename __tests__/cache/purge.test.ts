import type { RequestHandler } from "express";
import { until } from "../support/server.js";
import { appWith, useClock } from "./support.js";

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
    expect(await app.cached.stats()).toMatchObject({ hits: 1, misses: 2, stale: 0, bypasses: 1, entries: 2 });
    expect((await app.cached.stats()).bytes).toBeGreaterThan(0);
    await app.cached.clear();
    expect(await app.cached.stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect((await app.get("/a")).did).toMatch(/^fwd/);
  });
});
