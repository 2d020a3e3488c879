import type http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import express from "express";
import { contract } from "../../../tools/contract/index.js";
import { certificate } from "../../support/certificate.js";
import { closeServers, listen, REFUSING, until } from "../../support/server.js";
import { oneIn } from "../../support/soak.js";
import { demoExpectations, demoParts, failuresOf, inProduction, mount } from "./demo-parts.js";

inProduction();
afterEach(closeServers);

it("leaves no server, no socket and no timer behind, even where cases fail", async () => {
  const handles = () => (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
  // Handles of an earlier test file in this process are not counted.
  const earlier = new Set(handles());
  const sockets = () =>
    handles().filter(
      (one) => !earlier.has(one) && /^(?:Socket|TLSSocket|Server)$/.test(one.constructor.name),
    );
  const open = (kind: RegExp) => process.getActiveResourcesInfo().filter((name) => kind.test(name));
  await new Promise((resolve) => setTimeout(resolve, 20)); // the runner has immediates of its own as a test begins
  const before = open(/Timeout|Immediate/).length;
  const stalled = contract((_req: http.IncomingMessage, _res: http.ServerResponse) => {}, {
    routes: { ok: "/hello", upload: "/upload", slow: { path: "/slow", endsMs: 10 } },
    timeoutMs: 30,
  });
  expect(Object.keys(await failuresOf(stalled)).length).toBeGreaterThan(5);
  const lines: string[] = [];
  await failuresOf(
    oneIn(4, contract(mount(demoParts(lines)), { ...demoExpectations(lines), log: undefined })),
  );
  // The slow handler of the app may run a moment longer than the cases.
  await until(() => sockets().length === 0 && open(/Timeout|Immediate/).length <= before);
});

it("an app at a URL gets the requests, and goes on listening", async () => {
  const lines: string[] = [];
  const { url, server } = await listen(mount(demoParts(lines)));
  expect(await failuresOf(oneIn(10, contract(url, demoExpectations(lines))))).toEqual({});
  expect(await failuresOf(contract(new URL(url), { routes: { ok: "/hello" } }))).toEqual({});
  expect(server.listening).toBe(true);
});

it("the path of a URL is put before all paths", async () => {
  const app = express();
  const below = express.Router();
  below.get("/hello", (_req, res) => void res.send("Hello\n"));
  app.disable("x-powered-by").use("/api/v1", below);
  const { url } = await listen(app);
  expect(await failuresOf(contract(`${url}/api/v1/`, { routes: { ok: "/hello" } }))).toEqual({});
  expect(Object.keys(await failuresOf(contract(url, { routes: { ok: "/hello" } })))).toContain(
    "GET /hello is answered with 2xx",
  );
});

it("a self-signed certificate is accepted if it is given as ca, and refused if not", async () => {
  const { key, cert } = await certificate();
  const lines: string[] = [];
  const server = https.createServer({ key, cert }, mount(demoParts(lines)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  try {
    expect(await failuresOf(oneIn(10, contract(url, { ...demoExpectations(lines), ca: cert })))).toEqual({});
    const [first] = contract(url);
    await expect(first!.run()).rejects.toThrow(/The client got no answer: .*certificate/);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

it("a URL where no server listens fails every case with a readable message", async () => {
  const cases = contract(REFUSING, { routes: { ok: "/hello" } });
  const failures = await failuresOf(cases);
  expect(Object.keys(failures)).toEqual(cases.map(({ name }) => name));
  for (const message of Object.values(failures))
    expect(message).toMatch(/^The client got no answer: .*ECONNREFUSED/);
});

it("a case that fails while another of its requests is open leaves no rejection behind", async () => {
  const held: http.IncomingMessage[] = [];
  let isFirst = true;
  let isOver = false;
  const { url } = await listen((req, res) => {
    if (req.url === "/livez") {
      res.once("close", () => {
        isOver = true;
      });
      for (const one of held) one.socket.destroy();
    } else if (isFirst) {
      isFirst = false;
      res.writeHead(503).end();
    } else held.push(req);
  });
  const busy = { path: "/busy", limit: 1, live: "/livez" };
  const cases = contract(url, { routes: { ok: "/hello", busy } });
  const live = cases.find(({ name }) => name.startsWith("GET /livez is answered"))!;
  await expect(live.run()).rejects.toThrow("The client got no answer: the connection was closed");
  await until(() => isOver);
  await new Promise((resolve) => setTimeout(resolve, 20)); // Jest reports the rejection as an error of this test
});

it("an app that does not speak HTTP fails with a readable message too", async () => {
  const { url } = await listen((_req, res) => void res.socket?.end("Hello?\r\n\r\n"));
  await expect(contract(url)[0]!.run()).rejects.toThrow(
    /something that is no answer. It begins with "Hello\?"/,
  );
});

it("without expectations there are the cases that hold for every app", async () => {
  const app = express();
  app.disable("x-powered-by");
  const cases = contract(app);
  expect(cases.map(({ name }) => name)).toMatchInlineSnapshot(`
[
  "an unknown path is answered with 404",
  "credentials are not allowed to pages of every origin",
  "no answer names the software and its version",
  "a 404 shows nothing of the app's inside",
  "a URL that cannot be decoded is a client's error, and shows nothing of the app's inside",
  "a 404 does not make markup of its URL",
  "an unknown path gets exactly one answer, and the next request its own",
  "a client that leaves in the middle of its upload does not stop the server",
]
`);
  expect(await failuresOf(cases)).toEqual({});
});
