/** A file before and after, and what must be said. */
export interface Case {
  readonly name: string;
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly left?: readonly (string | RegExp)[];
  readonly notes?: readonly (string | RegExp)[];
  /** The major version of helmet; 8 if it is left out. */
  readonly helmet?: number;
  readonly mentions?: string;
  readonly addsElsewhere?: string;
}

export const CASES: readonly Case[] = [
  {
    name: "an app that uses none of the replaced packages gets portico, as the outermost and the last",
    file: "app.mjs",
    before: `import express from "express";

const app = express();
app.set("trust proxy", 1);

// the page
app.get("/", (_req, res) => res.send("Hello")); // says hello

export default app;
`,
    after: `import express from "express";
import { portico } from "express-portico";

const app = express();
app.set("trust proxy", 1);

const { before, after } = portico({ headers: false });
app.use(before);
// the page
app.get("/", (_req, res) => res.send("Hello")); // says hello
app.use(after);

export default app;
`,
  },
  {
    name: "everything at once in CommonJS, with a comment at each place, and options that are renamed",
    file: "app.js",
    before: `#!/usr/bin/env node
'use strict'
// the app
const express = require('express') // 1
const helmet = require('helmet') /* 2 */
const cors = require('cors')
const morgan = require('morgan')
const compression = require('compression')
const timeout = require('connect-timeout')

const app = express()
/* the log */
app.use(morgan('tiny', { skip: (req) => req.url === '/health' /* 3 */ }))
app.use(helmet({
  // no frames
  frameguard: { action: 'deny' },
  hidePoweredBy: true,
  referrerPolicy: { policy: 'same-origin' }, // 4
}))
app.use(cors({ origin: ['https://a.example'], headers: ['x-a'], maxAge: '600' }))
app.use(compression({ threshold: '1kb', level: 6 }))
app.use(timeout('5s'))
app.get('/', (req, res) => res.send('hi')) // 5

app.listen(3000, () => console.log('up')) // 6
module.exports = app
`,
    after: `#!/usr/bin/env node
'use strict'
// the app
const express = require('express') // 1
const { compress, cors, notFound, recover, requestContext, requestLog, securityHeaders, serve, timeout } = require('express-portico')
/* helmet, now securityHeaders: 2 */

const app = express()
app.use(requestContext())
/* the log */
app.use(requestLog({ format: 'tiny', skip: (req) => req.url === '/health' /* 3 */ }))
app.use(securityHeaders({
  preset: 'helmet',
  // no frames
  frameOptions: 'deny',
  referrerPolicy: 'same-origin', // 4
}))
app.use(cors({ origin: ['https://a.example'], allowedHeaders: ['x-a'], maxAge: 600 }))
app.use(compress({ threshold: 1024, levels: { gzip: 6, deflate: 6 } }))
app.use(timeout(5_000))
app.get('/', (req, res) => res.send('hi')) // 5
app.use(notFound(), recover())

serve(app, { port: 3000 }).then(() => console.log('up')) // 6
module.exports = app
`,
    notes: [/cors: an OPTIONS request that is no preflight/, /timeout: the 503/, /serve: SIGTERM/],
  },
  {
    name: "tabs, Windows line ends, var and one list of declarations keep their form",
    file: "app.js",
    before:
      'var express = require("express"),\r\n\tlogger = require("morgan"), // the log\r\n\tcors = require("cors"),\r\n\thttp = require("http");\r\n\r\nvar app = express();\r\nif (true) {\r\n\tapp.use(logger("combined"));\r\n}\r\napp.use(cors());\r\nhttp.createServer(app).listen(0);\r\n',
    after:
      'var express = require("express"),\r\n\t{ cors, notFound, recover, requestContext, requestLog } = require("express-portico"),\r\n\t// morgan, now requestLog: the log\r\n\thttp = require("http");\r\n\r\nvar app = express();\r\napp.use(requestContext());\r\nif (true) {\r\n\tapp.use(requestLog({ format: "combined" }));\r\n}\r\napp.use(cors({ origin: "*", optionsSuccessStatus: 204 }));\r\napp.use(notFound(), recover());\r\nhttp.createServer(app).listen(0);\r\n',
  },
  {
    name: "an app made in a function keeps its indentation, and what returns it stays last",
    file: "app.ts",
    before: `import cors from "cors";
import express, { type Express } from "express";

export function createApp(): Express {
    const app: Express = express();
    app.use(cors({ origin: process.env.ORIGIN }));
    app.get("/", (_req, res) => {
        res.send("hi");
    });
    return app;
}
`,
    after: `import { cors, notFound, recover, requestContext } from "express-portico";
import express, { type Express } from "express";

export function createApp(): Express {
    const app: Express = express();
    app.use(requestContext());
    app.use(cors({ origin: process.env.ORIGIN, optionsSuccessStatus: 204 }));
    app.get("/", (_req, res) => {
        res.send("hi");
    });
    app.use(notFound(), recover());
    return app;
}
`,
    notes: ["cors: the app does not start if the value of origin is not an origin"],
  },
  {
    name: "require without a variable, in one expression",
    file: "app.js",
    before: `const app = require("express")();
app.use(require("morgan")("dev"));
app.get("/", (req, res) => res.end());
`,
    after: `const { notFound, recover, requestContext, requestLog } = require("express-portico");
const app = require("express")();
app.use(requestContext());
app.use(requestLog({ format: "dev" }));
app.get("/", (req, res) => res.end());
app.use(notFound(), recover());
`,
  },
  {
    name: "options in a constant stay there if they mean the same",
    file: "app.mjs",
    before: `import express from "express";
import cors from "cors";
const options = { origin: "https://a.example", credentials: true };
const app = express();
app.use(cors(options));
app.options("/x", cors(options));
app.use((req, res) => res.sendStatus(404));
app.use((err, req, res, next) => { res.sendStatus(500); });
`,
    after: `import express from "express";
import { cors, recover, requestContext } from "express-portico";
const options = { origin: "https://a.example", credentials: true };
const app = express();
app.use(requestContext());
app.use(cors(options));
app.options("/x", cors(options));
app.use((req, res) => res.sendStatus(404));
app.use((err, req, res, next) => { res.sendStatus(500); });
app.use(recover());
`,
  },
  {
    name: "what is not certain stays, each with its reason",
    file: "app.js",
    before: `const express = require("express");
const cors = require("cors");
const helmet = require("helmet");
const morgan = require("morgan");
const config = require("./config");
const pino = require("pino-http");
const app = express();
app.use(cors({ origin: (origin, callback) => callback(null, true) }));
app.use(cors(config.cors));
app.use(cors);
app.use(helmet.hsts());
app.use(morgan(config.format));
app.use(morgan("tiny", { /* no buffer */ buffer: true }));
app.get("/", (req, res) => res.end());
const server = app.listen(0);
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
const cors = require("cors");
const helmet = require("helmet");
const morgan = require("morgan");
const config = require("./config");
const pino = require("pino-http");
const app = express();
const { before, after } = portico({ headers: false, log: false });
app.use(before);
app.use(cors({ origin: (origin, callback) => callback(null, true) }));
app.use(cors(config.cors));
app.use(cors);
app.use(helmet.hsts());
app.use(morgan(config.format));
app.use(morgan("tiny", { /* no buffer */ buffer: true }));
app.get("/", (req, res) => res.end());
app.use(after);
const server = app.listen(0);
`,
    left: [
      /^pino-http stays: requestLog takes a pino logger/,
      /origin is a function with a callback; here it is \(origin, req\) => boolean/,
      /what config\.cors holds is not written/,
      "cors stays: it is not called here",
      /^helmet\.hsts\(\) stays/,
      /the format is not written in this file/,
      /buffer: it is not needed/,
      "app.listen(0) stays: its result is used: see docs/serve.md for what serve returns",
    ],
  },
  {
    name: "what the middleware would refuse at start-up stays, with its message",
    file: "app.js",
    before: `const cors = require("cors");
const helmet = require("helmet");
const morgan = require("morgan");
exports.a = cors({ origin: "*", credentials: true });
exports.b = cors({ origin: /example\\.com$/ });
exports.c = cors({ preflightContinue: true });
exports.d = helmet({ contentSecurityPolicy: { useDefaults: false, directives: {} } });
exports.e = helmet({ contentSecurityPolicy: { directives: { scriptSrc: [(req, res) => res.locals.n] } } });
exports.f = morgan(":method :nonsense");
exports.g = helmet({ noSniff: false });
`,
    after: `const cors = require("cors");
const helmet = require("helmet");
const morgan = require("morgan");
exports.a = cors({ origin: "*", credentials: true });
exports.b = cors({ origin: /example\\.com$/ });
exports.c = cors({ preflightContinue: true });
exports.d = helmet({ contentSecurityPolicy: { useDefaults: false, directives: {} } });
exports.e = helmet({ contentSecurityPolicy: { directives: { scriptSrc: [(req, res) => res.locals.n] } } });
exports.f = morgan(":method :nonsense");
exports.g = helmet({ noSniff: false });
`,
    left: [
      /stays: .*credentials/,
      /stays: origin /,
      /preflightContinue: it is shortCircuit: "preflight"/,
      /useDefaults: directives replace those of the preset/,
      /has a function, and policies are made once/,
      /nonsense/,
      /noSniff: it is always sent/,
    ],
  },
  {
    name: "helmet 7 keeps its shorter Strict-Transport-Security, and helmet 5 stays",
    file: "app.js",
    helmet: 7,
    before: `const helmet = require("helmet");
module.exports = [helmet(), helmet({ crossOriginEmbedderPolicy: true }), helmet({ hsts: { maxAge: 60 } })];
`,
    after: `const { securityHeaders } = require("express-portico");
module.exports = [securityHeaders({ preset: "helmet", strictTransportSecurity: { maxAge: 15552000 } }), securityHeaders({ preset: "helmet", strictTransportSecurity: { maxAge: 15552000 }, crossOriginEmbedderPolicy: "require-corp" }), securityHeaders({ preset: "helmet", strictTransportSecurity: { maxAge: 60 } })];
`,
  },
  {
    name: "helmet 5 stays",
    file: "app.js",
    helmet: 5,
    before: `const helmet = require("helmet");\nmodule.exports = helmet();\n`,
    after: `const helmet = require("helmet");\nmodule.exports = helmet();\n`,
    left: [/helmet 5 has other defaults/],
  },
  {
    name: "routes that a function adds later leave the end of the app to its author",
    file: "app.js",
    before: `const express = require("express");
const app = express();
connect().then(() => {
  app.get("/", (req, res) => res.end());
  app.listen(3000);
});
`,
    after: `const express = require("express");
const { portico, serve } = require("express-portico");
const app = express();
app.use(portico({ headers: false, notFound: false, recover: false }).before);
connect().then(() => {
  app.get("/", (req, res) => res.end());
  serve(app, { port: 3000 });
});
`,
    left: [/^notFound and recover were not added: a function adds to the app/],
  },
  {
    name: "so do other files that add routes",
    file: "app.js",
    addsElsewhere: "routes.js:3 may add to the app",
    before: `const express = require("express");
const app = express();
app.use(express.json());
module.exports = app;
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
const app = express();
app.use(portico({ headers: false, notFound: false, recover: false }).before);
app.use(express.json());
module.exports = app;
`,
    left: [/routes\.js:3 may add to the app; put app\.use\(notFound\(\), recover\(\)\)/],
  },
  {
    name: "names that the file has already get another one",
    file: "app.js",
    before: `const express = require("express");
const log = require("morgan");
const recover = () => {};
const requestLog = 1;
const app = express();
app.use(log("dev"));
app.get("/", recover);
`,
    after: `const express = require("express");
const { notFound, recover: porticoRecover, requestContext, requestLog: porticoRequestLog } = require("express-portico");
const recover = () => {};
const requestLog = 1;
const app = express();
app.use(requestContext());
app.use(porticoRequestLog({ format: "dev" }));
app.get("/", recover);
app.use(notFound(), porticoRecover());
`,
  },
  {
    name: "a comment of an import that goes is kept on a line of its own, with what it was about",
    file: "app.js",
    before: `// The shop.
const express = require("express"); // 1
const helmet = require("helmet"); // sets headers
// the log,
// one line for each request
const morgan = require("morgan");

// middleware
const cors = require("cors"); //who may ask
const compression = require("compression");
const db = require("./db"),
  timeout = require("connect-timeout"); // 3

// @ts-expect-error it has no types
const again = require("cors");
const app = express();
app.use(morgan("tiny"), helmet(), cors(), compression(), timeout(5), again(), db);
`,
    after: `// The shop.
const express = require("express"); // 1
const { compress, cors, notFound, recover, requestContext, requestLog, securityHeaders, timeout } = require("express-portico");
// helmet, now securityHeaders: sets headers
// morgan, now requestLog: the log,
// one line for each request

// middleware
// cors, now of express-portico: who may ask
const db = require("./db");
// connect-timeout, now timeout: 3

// cors, now of express-portico: @ts-expect-error it has no types
const app = express();
app.use(requestContext());
app.use(requestLog({ format: "tiny" }), securityHeaders({ preset: "helmet" }), cors({ origin: "*", optionsSuccessStatus: 204 }), compress(), timeout(5), cors({ origin: "*", optionsSuccessStatus: 204 }), db);
app.use(notFound(), recover());
`,
  },
  {
    name: "a comment inside of what would go keeps it there",
    file: "app.js",
    before: `const express = require("express");
const cors /* theirs */ = require("cors");
const app = express();
app.use(cors({ preflightContinue: /* never */ false, origin: "https://a.example" }));
app.listen(/* the port */ 3000);
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
const cors /* theirs */ = require("cors");
const app = express();
const { before, after } = portico({ headers: false });
app.use(before);
app.use(cors({ preflightContinue: /* never */ false, origin: "https://a.example" }));
app.use(after);
app.listen(/* the port */ 3000);
`,
    left: [
      /cors\(.+ stays: a comment in it would be lost/,
      /app\.listen\(.+ stays: a comment in it would be lost/,
    ],
  },
  {
    name: "signal handlers of its own, callbacks with parameters and unknown hosts keep app.listen",
    file: "app.js",
    before: `const app = require("express")();
app.get("/", (req, res) => res.end());
app.listen(1, (error) => error);
app.listen(2, place, () => {});
app.listen({ port: 3 });
`,
    after: `const { portico } = require("express-portico");
const app = require("express")();
const { before, after } = portico({ headers: false });
app.use(before);
app.get("/", (req, res) => res.end());
app.use(after);
app.listen(1, (error) => error);
app.listen(2, place, () => {});
app.listen({ port: 3 });
`,
    left: [
      /its callback has parameters/,
      /whether place is a host or a callback/,
      /its options are an object/,
    ],
  },
  {
    name: "req.timedout keeps connect-timeout",
    file: "app.js",
    mentions: ".timedout",
    before: `const timeout = require("connect-timeout");\nmodule.exports = timeout("5s");\n`,
    after: `const timeout = require("connect-timeout");\nmodule.exports = timeout("5s");\n`,
    left: [/req\.timedout or req\.clearTimeout is used/],
  },
];
