import type { Case } from "./cases.js";

/** Apps in a property of a class, and what compilers write. */
export const CLASS_CASES: readonly Case[] = [
  {
    name: "an app in a property of a class is followed through the constructor",
    file: "server.ts",
    before: `import express from "express";
import compression from "compression";
class Server {
  app = express();
  constructor() {
    this.app.use(compression());
    // the page
    this.app.get("/", (_req, res) => res.send("hi"));
  }
  start(port: number): void {
    this.app.listen(port, () => console.log(this.name));
  }
}
new Server().start(3000);
`,
    after: `import express from "express";
import { compress, notFound, recover, requestContext, serve } from "express-portico";
class Server {
  app = express();
  constructor() {
    this.app.use(requestContext());
    this.app.use(compress());
    // the page
    this.app.get("/", (_req, res) => res.send("hi"));
    this.app.use(notFound(), recover());
  }
  start(port: number): void {
    serve(this.app, { port }).then(() => console.log(this.name));
  }
}
new Server().start(3000);
`,
  },
  {
    name: "and through the methods that the constructor calls once, with what goes last in another method",
    file: "app.ts",
    before: `import express, { Application } from 'express'
import cors from 'cors'
import helmet from 'helmet'

class App {
  public app: Application
  private readonly port = 3000

  constructor(routes: Routes[]) {
    this.app = express()

    this.initializeMiddlewares()
    this.initializeRoutes(routes)
    this.initializeErrors()
  }

  public getServer() {
    return this.app
  }

  private initializeErrors() {
    // their own answers
    this.app.use(errorMiddleware) // last
  }

  private initializeRoutes(routes: Routes[]) {
    routes.forEach((route) => {
      this.app.use('/', route.router)
    })
  }

  private initializeMiddlewares() {
    // security
    this.app.use(helmet())
    this.app.use(cors({ origin: 'https://a.example' }))
  }
}

export default App
`,
    after: `import express, { Application } from 'express'
import { cors, notFound, recover, requestContext, securityHeaders } from 'express-portico'

class App {
  public app: Application
  private readonly port = 3000

  constructor(routes: Routes[]) {
    this.app = express()

    this.initializeMiddlewares()
    this.initializeRoutes(routes)
    this.initializeErrors()
  }

  public getServer() {
    return this.app
  }

  private initializeErrors() {
    // their own answers
    this.app.use(errorMiddleware) // last
    this.app.use(notFound(), recover())
  }

  private initializeRoutes(routes: Routes[]) {
    routes.forEach((route) => {
      this.app.use('/', route.router)
    })
  }

  private initializeMiddlewares() {
    this.app.use(requestContext())
    // security
    this.app.use(securityHeaders({ preset: 'helmet' }))
    this.app.use(cors({ origin: 'https://a.example' }))
  }
}

export default App
`,
  },
  {
    name: "portico's first and last part in two methods share no variable; a private name is one too",
    file: "app.mjs",
    before: `import express from "express";
export class Api {
  #app;
  constructor() {
    this.#app = express();
    this.#first();
    this.#second();
  }
  #first() {
    this.#app.use(express.json());
  }
  #second() {
    this.#app.get("/", (req, res) => res.end());
  }
}
`,
    after: `import express from "express";
import { notFound, portico, recover } from "express-portico";
export class Api {
  #app;
  constructor() {
    this.#app = express();
    this.#first();
    this.#second();
  }
  #first() {
    this.#app.use(portico({ headers: false, notFound: false, recover: false }).before);
    this.#app.use(express.json());
  }
  #second() {
    this.#app.get("/", (req, res) => res.end());
    this.#app.use(notFound(), recover());
  }
}
`,
  },
  {
    name: "a method that others call, or that waits, leaves the end to its author; what goes first is after the app is made",
    file: "app.js",
    before: `const express = require("express");
class Api {
  constructor() {
    this.app = express();
    this.routes();
  }
  async routes() {
    await this.connect();
    this.app.get("/", (req, res) => res.end());
  }
}
module.exports = Api;
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
class Api {
  constructor() {
    this.app = express();
    this.app.use(portico({ headers: false, notFound: false, recover: false }).before);
    this.routes();
  }
  async routes() {
    await this.connect();
    this.app.get("/", (req, res) => res.end());
  }
}
module.exports = Api;
`,
    left: [/^notFound and recover were not added: a function adds to the app/],
  },
  ...[
    "this.add(); this.add();",
    "list.forEach(this.add);",
    "if (x) this.add();",
    "const self = this; self.add();",
  ].map(
    (calls): Case => ({
      name: `the order of a method is not certain with ${calls}`,
      file: "app.js",
      before: `const express = require("express");
class Api {
  constructor() {
    this.app = express();
    ${calls}
  }
  add() {
    this.app.get("/", (req, res) => res.end());
  }
}
`,
      after: `const express = require("express");
const { portico } = require("express-portico");
class Api {
  constructor() {
    this.app = express();
    this.app.use(portico({ headers: false, notFound: false, recover: false }).before);
    ${calls}
  }
  add() {
    this.app.get("/", (req, res) => res.end());
  }
}
`,
      left: [/^notFound and recover were not added: /],
    }),
  ),
  ...[
    [
      "class Api { app = express(); add() { this.app.get('/', page); } }",
      /belongs to a class without a constructor/,
    ],
    ["class Api { static app = express(); }", /app is a static property/],
    [
      "class Api { constructor() { this.app = express(); } reset() { this.app = express(); } }",
      /this\.app is given a value at more than one place/,
    ],
    ["function Api() { this.app = express(); }", /this\.app is in no class/],
    ["const server = {}; server.app = express();", /it is in server\.app, and what else uses/],
    ["start(express());", /it is given to start at once, and has no name/],
    ["module.exports = express();", /it is in module\.exports/],
    ["let app = express(); app = express();", /app is given a value at more than one place/],
    [
      "class Api { constructor() { const make = function () { this.app = express(); }; } }",
      /this\.app is in no class/,
    ],
  ].map(
    ([text, why]): Case => ({
      name: `nothing is added, and why is said: ${text}`,
      file: "app.js",
      before: `const express = require("express");\n${text}\n`,
      after: `const express = require("express");\n${text}\n`,
      left: /express\(\).*express\(\)/.test(text as string)
        ? [why as RegExp, why as RegExp]
        : [why as RegExp],
    }),
  ),
  {
    name: "routes that an instance, or a class that extends it, adds in the same file",
    file: "app.js",
    before: `const express = require("express");
class Api {
  constructor() {
    this.app = express();
    this.app.use(express.json());
  }
}
class Shop extends Api {
  constructor() {
    super();
    this.app.get("/", (req, res) => res.end());
  }
}
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
class Api {
  constructor() {
    this.app = express();
    this.app.use(portico({ headers: false, notFound: false, recover: false }).before);
    this.app.use(express.json());
  }
}
class Shop extends Api {
  constructor() {
    super();
    this.app.get("/", (req, res) => res.end());
  }
}
`,
    left: [/^notFound and recover were not added: a function adds to the app/],
  },
  {
    name: "TypeScript's output is changed as its source would be, and that it is one is said",
    file: "app.js",
    before: `"use strict";
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
const express_1 = __importDefault(require("express"));
const cors_1 = __importDefault(require("cors"));
const morgan_1 = require("morgan");
const app = (0, express_1.default)();
app.use((0, cors_1.default)({ origin: "https://a.example" }));
app.use((0, morgan_1.default)("tiny"));
app.get("/", (_req, res) => res.send("hi"));
exports.default = app;
//# sourceMappingURL=app.js.map
`,
    after: `"use strict";
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
const express_1 = __importDefault(require("express"));
const { cors, notFound, recover, requestContext, requestLog } = require("express-portico");
const app = (0, express_1.default)();
app.use(requestContext());
app.use(cors({ origin: "https://a.example" }));
app.use(requestLog({ format: "tiny" }));
app.get("/", (_req, res) => res.send("hi"));
app.use(notFound(), recover());
exports.default = app;
//# sourceMappingURL=app.js.map
`,
    notes: [/this file is the output of a compiler/],
  },
  {
    name: "so is the output of Babel and of esbuild",
    file: "app.js",
    before: `var _express = _interopRequireDefault(require("express"));
var import_morgan = __toESM(require("morgan"));
const app = (0, _express.default)();
app.use((0, import_morgan.default)("tiny"));
app.get("/", (0, _helpers.page)());
`,
    after: `var _express = _interopRequireDefault(require("express"));
const { notFound, recover, requestContext, requestLog } = require("express-portico");
const app = (0, _express.default)();
app.use(requestContext());
app.use(requestLog({ format: "tiny" }));
app.get("/", (0, _helpers.page)());
app.use(notFound(), recover());
`,
  },
  {
    name: "a list's forEach adds at once; another name for the app, and a return between, are not followed",
    file: "app.js",
    before: `const express = require("express");
module.exports = (routes) => {
  const app = express();
  routes.forEach((one) => {
    if (!one.path) return;
    app.use(one.path, one.router);
  });
  return app;
};
`,
    after: `const express = require("express");
const { portico } = require("express-portico");
module.exports = (routes) => {
  const app = express();
  const { before, after } = portico({ headers: false });
  app.use(before);
  routes.forEach((one) => {
    if (!one.path) return;
    app.use(one.path, one.router);
  });
  app.use(after);
  return app;
};
`,
  },
  ...[
    ["const other = app;\n  other.use(last);", /the app gets another name/],
    ["if (isSmall) return app;\n  app.use(last);", /the function returns while it adds/],
  ].map(
    ([text, why]): Case => ({
      name: `what goes last is left with ${text}`,
      file: "app.js",
      before: `const express = require("express");
exports.make = () => {
  const app = express();
  app.use(express.json());
  ${text}
  return app;
};
`,
      after: `const express = require("express");
const { portico } = require("express-portico");
exports.make = () => {
  const app = express();
  app.use(portico({ headers: false, notFound: false, recover: false }).before);
  app.use(express.json());
  ${text}
  return app;
};
`,
      left: [why as RegExp],
    }),
  ),
  {
    name: "an app that gets other methods is left alone",
    file: "app.js",
    before: `const express = require("express");
exports.make = () => {
  const app = express();
  merge(app, proto);
  return app;
};
`,
    after: `const express = require("express");
exports.make = () => {
  const app = express();
  merge(app, proto);
  return app;
};
`,
    left: [/^app: nothing was added, because it gets other methods here/],
  },
  ...[
    "app.use(error.notFound);\napp.use(error.handler);",
    "app.use((req, res) => res.sendStatus(404));\nif (isDevelopment) app.use(errorHandler());\nelse app.use((err, req, res, next) => res.sendStatus(500));",
    "app.use(notFoundHandler());\napp.use(handlers.errors);",
  ].map(
    (end): Case => ({
      name: `the app's own 404 is known: ${end}`,
      file: "app.js",
      before: `const express = require("express");\nconst app = express();\napp.get("/", page);\n${end}\n`,
      after: `const express = require("express");\nconst { portico } = require("express-portico");\nconst app = express();\nconst { before, after } = portico({ headers: false, notFound: false });\napp.use(before);\napp.get("/", page);\n${end}\napp.use(after);\n`,
    }),
  ),
];
