// Loaded by mocha before Express's test suite (express-suite.mjs): the server that supertest makes for an app is another one.
const http = require("node:http");
const http2 = require("node:http2");
const net = require("node:net");
const { join } = require("node:path");
const { createRequire } = require("node:module");

const { WAY: way, PORTICO: root } = process.env;
const { expressServerOptions, serve } = require(join(root, "dist/cjs/index.js"));

const createServer = http.createServer;
const FRONTS = { options: withOptions, serve: beforeServe, http2: beforeHttp2 };
const front = FRONTS[way];
if (front !== undefined) {
  http.createServer = (...args) =>
    args.length === 1 && typeof args[0]?.handle === "function" && "response" in args[0]
      ? front(args[0])
      : createServer(...args);
}

let apps = 0;
let fast = 0;
process.on("exit", () => process.stderr.write(`\nfast send in ${fast} of ${apps} apps\n`));

/** Whether the app's responses got the faster methods: an app that replaces one of them keeps its own. */
function count(app) {
  apps++;
  if (/sendString/.test(app.response.json)) fast++;
}

function withOptions(app) {
  const server = createServer(expressServerOptions(app), app);
  count(app);
  return server;
}

/** Begins to serve at once, but supertest needs the address before: a server that passes the connections on. */
function served(app, options) {
  const listening = serve(app, { port: 0, signals: false, onUncaught: false, ...options });
  listening.then(() => count(app));
  return listening;
}

/** Closes the app's server with the one in front. */
function closeTogether(server, listening, before = () => {}) {
  const { close } = server;
  server.close = function (callback) {
    before();
    listening.then((one) => one.close());
    return close.call(this, callback);
  };
  return server;
}

/** Passes bytes on. */
function beforeServe(app) {
  const listening = served(app, { drain: { idleGraceMs: 0, deadlineMs: 100 } });
  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    listening.then((one) => {
      const inner = net.connect({ port: one.server.address().port, host: "127.0.0.1", allowHalfOpen: true });
      inner.on("error", () => socket.destroy());
      inner.on("close", () => socket.destroy());
      socket.on("close", () => inner.destroy());
      socket.pipe(inner).pipe(socket);
    });
  });
  return closeTogether(server, listening, () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** A certificate, made before the first test: its maker adds globals, which a test would be blamed for. */
const tls =
  way === "http2" &&
  Promise.resolve(
    createRequire(join(root, "package.json"))("selfsigned").generate([
      { name: "commonName", value: "localhost" },
    ]),
  ).then(({ private: key, cert }) => ({ key, cert }));

/** Fields that belong to a connection, and have no meaning in HTTP/2. */
const OF_CONNECTION = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
];

/** Speaks HTTP/1 to supertest, and HTTP/2 to the app. */
function beforeHttp2(app) {
  const drain = { idleGraceMs: 0, deadlineMs: 100 };
  const listening = tls.then((one) => served(app, { tls: one, http2: true, drain }));
  const session = listening.then((one) => {
    const url = `https://127.0.0.1:${one.server.address().port}`;
    return http2.connect(url, { rejectUnauthorized: false }).on("error", () => {});
  });
  const server = createServer((req, res) => {
    session.then((one) => passOn(one, req, res));
  });
  return closeTogether(server, listening, () => {
    session.then((one) => one.close());
    server.closeAllConnections();
  });
}

function passOn(session, req, res) {
  const headers = { ":method": req.method, ":path": req.url, ":scheme": "https" };
  if (req.headers.host !== undefined) headers[":authority"] = req.headers.host;
  for (const [name, values] of Object.entries(req.headersDistinct)) {
    if (name === "host" || OF_CONNECTION.includes(name)) continue;
    headers[name] = values.length === 1 ? values[0] : values;
  }
  const hasBody = "content-length" in req.headers || "transfer-encoding" in req.headers;
  const stream = session.request(headers, { endStream: !hasBody });
  if (hasBody) req.pipe(stream);
  res.on("close", () => res.writableFinished || stream.close(http2.constants.NGHTTP2_CANCEL));
  stream.on("error", () => res.destroy());
  stream.on("close", () => stream.rstCode !== 0 && !res.writableEnded && res.destroy());
  stream.on("response", (fields) => {
    const { ":status": status, ...rest } = fields;
    res.sendDate = false;
    res.writeHead(status, rest);
    res.flushHeaders();
    stream.pipe(res);
  });
}
