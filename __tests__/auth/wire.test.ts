import crypto from "node:crypto";
import express from "express";
import fc from "fast-check";
import request from "supertest";
import { readUserPass } from "../../src/auth/credentials.js";
import { apiKey, authenticate, basic, bearer } from "../../src/auth/index.js";
import { isBearerToken, readAuthorization } from "../../src/lib/http/auth-scheme.js";
import { cpuMs } from "../support/cpu.js";
import { closeServers, leastFirstByteMs, listen, raw } from "../support/server.js";
import { anyText } from "../support/text.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await closeServers();
});

const guard = authenticate([bearer({ verify: (token) => token === "good" }), apiKey({ keys: ["k"] })]);

function serve() {
  const later = jest.fn();
  const app = express();
  app.use(guard, express.json(), (_req, res) => {
    later();
    res.send("in");
  });
  return listen(app).then((server) => ({ ...server, later }));
}

it("answers an upload before its body has arrived, and no later handler runs", async () => {
  const server = await serve();
  const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
  // The rest of the body never arrives, so an answer proves that it was not waited for.
  const { text } = await raw(server.port, [head, "x".repeat(10)]);
  expect(text).toMatch(/^HTTP\/1\.1 401 /);
  const again = () => raw(server.port, [head, "x".repeat(10)]);
  expect(await leastFirstByteMs(again)).toBeLessThan(50);
  expect(server.later).not.toHaveBeenCalled();
});

it("keeps the connection if the rest of the body is small, and closes it if it is large", async () => {
  const server = await serve();
  const next = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n";
  const small = await raw(server.port, [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    "abcd",
    next,
  ]);
  expect(small.text).toMatch(/^HTTP\/1\.1 401 .*HTTP\/1\.1 200 .*in$/s);
  const large = await raw(
    server.port,
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nabcd",
    700,
  );
  expect(large.text).toMatch(/^HTTP\/1\.1 401 .*Connection: close/s);
  expect(large.end).toBe("fin");
});

it.each([
  ["two Authorization fields", "Authorization: Bearer good\r\nAuthorization: Bearer good", 400],
  ["two of another case", "Authorization: Bearer good\r\nAUTHORIZATION: Basic x", 400],
  ["two keys", "X-Api-Key: k\r\nX-Api-Key: k", 400],
  ["white space around the token", "Authorization: \t Bearer good \t", 200],
  ["an empty field", "Authorization:", 400],
])("%s", async (_name, fields, status) => {
  const server = await serve();
  const { text } = await raw(server.port, `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`, 40);
  expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

it("answers HEAD with the same head and no body", async () => {
  const server = await serve();
  const { text } = await raw(server.port, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 40);
  expect(text).toMatch(/^HTTP\/1\.1 401 .*WWW-Authenticate: Bearer.*\r\n\r\n$/s);
});

it("works on plain node:http", async () => {
  const server = await listen((req, res) => guard(req as never, res as never, () => res.end("in")));
  await request(server.url).get("/").expect(401);
  await request(server.url).get("/").set("X-Api-Key", "k").expect(200, "in");
});

it("answers the same in production", async () => {
  const bodies: string[] = [];
  const env = process.env.NODE_ENV;
  for (const mode of ["production", "development"]) {
    process.env.NODE_ENV = mode;
    const app = express();
    app.use(authenticate(bearer({ verify: () => false })));
    bodies.push((await request(app).get("/").set("Authorization", "Bearer x")).text);
  }
  process.env.NODE_ENV = env;
  expect(bodies[0]).toBe(bodies[1]);
});

it("compares the digests of all users, whether one matches or not", async () => {
  const users = { a: "1", b: "2", c: "a password that is longer than the others" };
  const app = express();
  app.use(authenticate(basic({ users })), (_req, res) => void res.send("in"));
  const compare = jest.spyOn(crypto, "timingSafeEqual");
  const counts: number[] = [];
  for (const pair of ["a:1", "c:wrong", "nobody:x", "b:2"]) {
    compare.mockClear();
    await request(app).get("/").auth(pair.split(":")[0]!, pair.split(":")[1]!);
    counts.push(compare.mock.calls.length);
  }
  expect(counts).toEqual([6, 6, 6, 6]);
});

it("is synchronous if verify is", () => {
  const order: string[] = [];
  const req = {
    method: "GET",
    headers: { authorization: "Bearer good" },
    rawHeaders: ["Authorization", "Bearer good"],
  };
  guard(req as never, {} as never, () => void order.push("next"));
  order.push("after");
  expect(order).toEqual(["next", "after"]);
});

describe("the parsers", () => {
  it("readAuthorization agrees with a naive reading", () => {
    const text = fc.string({
      unit: fc.constantFrom("B", "e", "a", " ", "\t", "=", ",", '"', "-", "\u00e9"),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, (value) => {
        const [scheme = "", ...rest] = value.split(" ");
        const wrong = scheme === "" || /[^A-Za-z-]/.test(scheme);
        const read = readAuthorization({
          headers: { authorization: value },
          rawHeaders: ["Authorization", value],
        } as never);
        const expected = wrong
          ? { kind: "malformed" }
          : { kind: "sent", scheme: scheme.toLowerCase(), rest: rest.join(" ").replace(/^ +/, "") };
        expect(read).toEqual(expected);
      }),
    );
  });

  it("readUserPass reads every valid pair, and nothing that is not base64", () => {
    const part = anyText().filter(
      (text) => !/[\x00-\x1f\x7f]/.test(text) && Buffer.from(text).toString() === text,
    );
    fc.assert(
      fc.property(
        part.filter((user) => !user.includes(":")),
        part,
        (user, password) => {
          expect(readUserPass(Buffer.from(`${user}:${password}`).toString("base64"))).toEqual({
            user,
            password,
          });
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = readUserPass(text);
        if (read !== undefined) {
          const back = Buffer.from(`${read.user}:${read.password}`).toString("base64");
          expect(back.replace(/=/g, "")).toBe(text.replace(/=/g, ""));
        }
      }),
    );
  });

  it.each([
    ["abc", true],
    ["a-._~+/==", true],
    ["=", false],
    ["", false],
    ["a b", false],
    ["a,b", false],
  ])("isBearerToken(%j) is %p", (text, expected) => {
    expect(isBearerToken(text)).toBe(expected);
  });

  it("take time proportional to the length", () => {
    const started = cpuMs();
    for (const text of ["=".repeat(200_000), "A".repeat(200_000), "a=".repeat(100_000)]) {
      isBearerToken(text);
      readUserPass(text);
    }
    expect(cpuMs() - started).toBeLessThan(1_000);
  });
});
