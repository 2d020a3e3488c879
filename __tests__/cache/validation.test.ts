import type { RequestHandler } from "express";
import { advance, appWith, useClock } from "./support.js";

useClock();

const page: RequestHandler = (_req, res) => {
  res.set({ "Cache-Control": "max-age=60", ETag: '"v1"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT" });
  res.type("text/plain").send("0123456789");
};

describe("a client's conditions", () => {
  test.each([
    [{ "if-none-match": '"v1"' }, 304],
    [{ "if-none-match": 'W/"v1"' }, 304],
    [{ "if-none-match": '"a", W/"v1"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"v2"' }, 200],
    [{ "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT" }, 304],
    [{ "if-modified-since": "Tue, 31 Dec 2019 00:00:00 GMT" }, 200],
    [{ "if-none-match": '"v2"', "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT" }, 200],
  ])("%j gets %i, from the store and from the handlers", async (headers, status) => {
    const app = await appWith(page);
    const missed = await app.get("/", headers);
    expect([missed.status, missed.text]).toEqual([status, status === 304 ? "" : "0123456789"]);
    const hit = await app.get("/", headers);
    expect([hit.status, hit.text, app.runs()]).toEqual([status, status === 304 ? "" : "0123456789", 1]);
    expect(hit.headers).toMatchObject({ etag: '"v1"', "cache-control": "max-age=60" });
    expect(hit.headers.date).toBe(missed.headers.date);
    if (status === 304) expect(hit.headers["content-length"]).toBeUndefined();
    // The miss has stored the whole answer, whatever its client got.
    expect((await app.get()).text).toBe("0123456789");
    expect(app.runs()).toBe(1);
  });

  test("a 304 that the handler sends without being asked to validate is not stored", async () => {
    const app = await appWith((_req, res) => void res.status(304).set("Cache-Control", "max-age=60").end());
    await app.get();
    await app.get();
    expect(app.runs()).toBe(2);
  });

  test("If-Match goes to the handlers", async () => {
    const app = await appWith(page);
    await app.get();
    expect((await app.get("/", { "if-match": '"v0"' })).did).toBe("fwd=bypass; detail=precondition");
  });

  test("code that reads the request's headers afterwards sees those of the client", async () => {
    let seen: unknown;
    const app = await appWith(page, {
      before: [
        (req, res, next) => {
          res.once("close", () =>
            setImmediate(() => {
              seen = req.headers["if-none-match"];
            }),
          );
          next();
        },
      ],
    });
    await app.get("/", { "if-none-match": '"mine"' });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(seen).toBe('"mine"');
  });
});

describe("validation", () => {
  test("a 304 of the handler makes the stored answer fresh again, with the new headers", async () => {
    let version = 0;
    const asked: unknown[] = [];
    const app = await appWith((req, res) => {
      asked.push([req.headers["if-none-match"], req.headers["if-modified-since"], req.headers.range]);
      res.set({ "Cache-Control": "max-age=60", ETag: '"v1"', "X-Version": String(++version) });
      if (req.headers["if-none-match"] === '"v1"') res.status(304).end();
      else res.send("body");
    });
    const first = await app.get();
    advance(61);
    const second = await app.get("/", { range: "bytes=0-1" });
    expect([second.status, second.text, second.headers["x-version"]]).toEqual([206, "bo", "2"]);
    expect(second.did).toMatch(/^fwd=stale; fwd-status=304; ttl=\d+; stored$/);
    expect(asked).toEqual([
      [undefined, undefined, undefined],
      ['"v1"', undefined, undefined],
    ]);
    const third = await app.get();
    expect([third.text, third.headers["x-version"], app.runs()]).toEqual(["body", "2", 2]);
    expect(third.headers["content-type"]).toBe(first.headers["content-type"]);
    expect(third.headers["content-length"]).toBe("4");
    expect(third.did).toMatch(/^hit; ttl=[56]\d/);
  });

  test("Express makes the 304 of res.json by itself", async () => {
    const app = await appWith((_req, res) => void res.set("Cache-Control", "no-cache").json({ same: true }));
    const first = await app.get();
    const second = await app.get();
    expect([second.status, second.text]).toEqual([200, first.text]);
    expect(second.did).toMatch(/^fwd=request; fwd-status=304/);
    const third = await app.get("/", { "if-none-match": String(first.headers.etag) });
    expect([third.status, third.text]).toEqual([304, ""]);
  });

  test("a new answer replaces the old one", async () => {
    let body = "old";
    const app = await appWith((_req, res) => void res.set("Cache-Control", "max-age=10").send(body));
    await app.get();
    body = "new";
    advance(11);
    expect((await app.get()).text).toBe("new");
    expect((await app.get()).did).toMatch(/^hit/);
  });
});

describe("HEAD", () => {
  test("HEAD is answered from a stored GET, with its length and no body", async () => {
    const app = await appWith(page);
    await app.get();
    const head = await app.send("HEAD");
    expect([head.status, head.text, head.headers["content-length"], head.did.slice(0, 3)]).toEqual([
      200,
      "",
      "10",
      "hit",
    ]);
    expect(app.runs()).toBe(1);
  });

  test("HEAD never stores anything", async () => {
    const app = await appWith(page);
    await app.send("HEAD");
    expect((await app.get()).text).toBe("0123456789");
    expect(app.runs()).toBe(2);
  });
});

describe("ranges", () => {
  test.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=8-", 206, "89", "bytes 8-9/10"],
    ["bytes=5-99", 206, "56789", "bytes 5-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=0-1,4-5", 200, "0123456789", undefined],
    ["lines=1", 200, "0123456789", undefined],
  ])("%s of a stored answer gets %i", async (range, status, text, contentRange) => {
    const app = await appWith(page);
    await app.get();
    const answer = await app.get("/", { range });
    expect([answer.status, answer.text, answer.headers["content-range"]]).toEqual([
      status,
      text,
      contentRange,
    ]);
    expect(app.runs()).toBe(1);
  });

  test("a range with another tag in If-Range gets the whole body", async () => {
    const app = await appWith(page);
    await app.get();
    expect((await app.get("/", { range: "bytes=0-3", "if-range": '"v0"' })).status).toBe(200);
    expect((await app.get("/", { range: "bytes=0-3", "if-range": '"v1"' })).status).toBe(206);
  });

  test("the handlers' own 206 is sent, and not stored", async () => {
    const app = await appWith((_req, res) => {
      res.status(206).set({ "Cache-Control": "max-age=60", "Content-Range": "bytes 0-1/10" }).send("01");
    });
    const answer = await app.get("/", { range: "bytes=0-1" });
    expect([answer.status, answer.text]).toEqual([206, "01"]);
    await app.get("/", { range: "bytes=0-1" });
    expect(app.runs()).toBe(2);
  });
});
