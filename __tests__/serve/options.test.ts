import http from "node:http";
import http2 from "node:http2";
import { availableParallelism } from "node:os";
import express, { type Express, type Request } from "express";
import { availableCores } from "../../src/serve/cluster.js";
import { expressServerOptions, type ServeOptions } from "../../src/serve/index.js";
import { checkOptions } from "../../src/serve/plan.js";
import { certificate } from "../support/certificate.js";
import { expressVersions } from "../support/express.js";
import { raw } from "../support/server.js";
import { begin, closeAll, refusal } from "./support.js";

describe("options", () => {
  const express4 = require("express4") as typeof express;

  afterEach(closeAll);

  const app = express();
  const LOUD = { debug() {}, info() {}, warn() {}, error() {} };

  type Row = [what: string, options: unknown, option: string, reason: RegExp];

  it.each<Row>([
    ["no bag", 8080, "options", /must be an object of options/],
    ["null", null, "options", /must be an object of options/],
    ["a list", [8080], "options", /must be an object of options/],
    ["an unknown option", { prot: 8080 }, "prot", /Did you mean "port"\?/],
    [
      "an option of another package",
      { gracefulShutdownTimeout: 5 },
      "gracefulShutdownTimeout",
      /lightship's name; here it is drain: \{ deadlineMs \}/,
    ],
    ["a negative port", { port: -1 }, "port", /from 0 to 65535/],
    ["a port that is too high", { port: 65_536 }, "port", /from 0 to 65535/],
    ["a port with a fraction", { port: 80.5 }, "port", /from 0 to 65535/],
    ["NaN", { port: Number("x") }, "port", /from 0 to 65535/],
    ["an empty port (PORT=)", { port: "" }, "port", /from 0 to 65535/],
    ["a port with a space", { port: " 8080" }, "port", /from 0 to 65535/],
    ["a port in hexadecimal", { port: "0x50" }, "port", /from 0 to 65535/],
    ["an address for a port", { port: "127.0.0.1:80" }, "port", /from 0 to 65535/],
    ["a URL for a port", { port: "http://localhost:80" }, "port", /from 0 to 65535/],
    ["true for a port", { port: true }, "port", /from 0 to 65535/],
    ["null for a port", { port: null, host: 1 }, "host", /must be a string/],
    ["a relative path", { port: "app.sock" }, "port", /absolute path of a Unix socket/],
    ["a path that is too long", { port: `/${"x".repeat(103)}` }, "port", /at most 103 bytes/],
    ["a path with a zero byte", { port: "/tmp/a\0b" }, "port", /zero byte/],
    [
      "a path and a host",
      { port: "/tmp/a.sock", host: "127.0.0.1" },
      "host",
      /no meaning with a Unix socket/,
    ],
    ["a number for a host", { host: 127 }, "host", /must be a string/],
    ["an empty host", { host: "" }, "host", /leave it out for all addresses/],
    [
      "a signal by itself",
      { signals: "SIGTERM" },
      "signals",
      /must be a list of signals, such as \["SIGTERM", "SIGINT"\], or false/,
    ],
    ["true for signals", { signals: true }, "signals", /must be a list/],
    ["a signal in lower case", { signals: ["sigterm"] }, "signals[0]", /not the name of a signal/],
    [
      "a signal without its prefix",
      { signals: ["SIGTERM", "INT"] },
      "signals[1]",
      /not the name of a signal, such as "SIGTERM"/,
    ],
    ["a signal's number", { signals: [15] }, "signals[0]", /not the name of a signal/],
    ["a name that all objects have", { signals: ["constructor"] }, "signals[0]", /not the name of a signal/],
    ["SIGKILL", { signals: ["SIGKILL"] }, "signals[0]", /cannot be caught/],
    ["SIGSTOP", { signals: ["SIGTERM", "SIGSTOP"] }, "signals[1]", /cannot be caught/],
    [
      "a number for drain",
      { drain: 8_000 },
      "drain",
      /must be an object: \{ delayMs, idleGraceMs, deadlineMs \}/,
    ],
    ["null for drain", { drain: null }, "drain", /must be an object/],
    [
      "an unknown member of drain",
      { drain: { deadline: 5 } },
      "drain.deadline",
      /Did you mean "deadlineMs"\?/,
    ],
    ["a negative delay", { drain: { delayMs: -1 } }, "drain.delayMs", /from 0 to/],
    [
      "a duration in words",
      { drain: { deadlineMs: "8s" } },
      "drain.deadlineMs",
      /a whole number of milliseconds/,
    ],
    [
      "a fraction of a millisecond",
      { drain: { idleGraceMs: 0.5 } },
      "drain.idleGraceMs",
      /a whole number of milliseconds/,
    ],
    [
      "an endless deadline",
      { drain: { deadlineMs: Number.POSITIVE_INFINITY } },
      "drain.deadlineMs",
      /from 0 to 2147483647/,
    ],
    [
      "more than a timer can count",
      { drain: { deadlineMs: 2 ** 31 } },
      "drain.deadlineMs",
      /from 0 to 2147483647/,
    ],
    ["no workers", { workers: 0 }, "workers", /from 1 to 1024, or "auto" for one per core/],
    ["half a worker", { workers: 1.5 }, "workers", /from 1 to 1024/],
    ["too many workers", { workers: 5_000 }, "workers", /from 1 to 1024/],
    ["another word for auto", { workers: "max" }, "workers", /"auto" for one per core/],
    ["digits for workers", { workers: "4" }, "workers", /must be a number of processes/],
    ["null for workers", { workers: null }, "workers", /must be a number of processes/],
    ["a logger that lacks a level", { logger: { ...LOUD, debug: undefined } }, "logger", /it has no debug/],
    ["a function for a logger", { logger: () => {} }, "logger", /must have the methods/],
    ["true for onUncaught", { onUncaught: true }, "onUncaught", /"drain", or false/],
    ["another word for onUncaught", { onUncaught: "exit" }, "onUncaught", /"drain", or false/],
    ["null for onUncaught", { onUncaught: null }, "onUncaught", /"drain", or false/],
    ["a path for probes", { probes: "/healthz" }, "probes", /must be an object: \{ live, ready, checks \}/],
    [
      "an unknown probe",
      { probes: { liveness: "/livez" } },
      "probes.liveness",
      /The options are live, ready|Did you mean "live"/,
    ],
    ["a probe without its slash", { probes: { live: "livez" } }, "probes.live", /such as "\/healthz"/],
    ["a probe with a query", { probes: { ready: "/readyz?full" } }, "probes.ready", /without a query/],
    [
      "a probe that clients would encode",
      { probes: { ready: "/bereit/für" } },
      "probes.ready",
      /as clients send it/,
    ],
    ["a probe with a space", { probes: { ready: "/ready z" } }, "probes.ready", /as clients send it/],
    ["a probe by regular expression", { probes: { live: /livez/ } }, "probes.live", /must be a string/],
    [
      "two probes on one path",
      { probes: { live: "/healthz", ready: "/healthz" } },
      "probes.ready",
      /must not be the path of live/,
    ],
    ["http2 in words", { http2: "yes" }, "http2", /must be true or false/],
    ["http2 without tls", { http2: true }, "http2", /needs tls: \{ key, cert \}/],
    ["true for tls", { tls: true }, "tls", /must be \{ key, cert \}/],
    ["null for tls", { tls: null }, "tls", /must be \{ key, cert \}/],
  ])("%s is refused, and the message says what to write", async (_what, options, option, reason) => {
    const { problems, message } = await refusal(options);
    const problem = problems.find((one) => one.option === option);
    expect(problem?.reason).toMatch(reason);
    expect(message).toContain(option);
  });

  it.each([
    ["nothing", undefined],
    ["an options bag", { port: 0 }],
    ["the app's module", { default: app }],
    ["a string", "./app.js"],
  ])("%s in place of the app is refused", async (_what, given) => {
    const { problems } = await refusal({ port: 0 }, given);
    expect(problems).toEqual([
      {
        option: "app",
        value: given,
        reason: expect.stringContaining("serve(app, options)"),
        code: "ERR_PORTICO_INVALID_OPTION",
      },
    ]);
  });

  it("all problems are reported at once, also those of nested options", async () => {
    const { problems } = await refusal(
      {
        prt: 1,
        port: -1,
        host: "",
        signals: ["X"],
        drain: 1,
        workers: 0,
        onUncaught: 1,
        probes: 1,
        logger: 1,
        http2: 1,
        tls: 1,
      },
      1,
    );
    expect(problems.map(({ option }) => option).sort()).toEqual([
      "app",
      "drain",
      "host",
      "http2",
      "logger",
      "onUncaught",
      "port",
      "probes",
      "prt",
      "signals[0]",
      "tls",
      "workers",
    ]);
  });

  describe("HTTP/2", () => {
    it("needs Express 5", async () => {
      const { problems } = await refusal({ port: 0, http2: true, tls: await certificate() }, express4());
      expect(problems).toEqual([
        {
          option: "http2",
          value: true,
          reason: expect.stringContaining("needs Express 5"),
          code: "ERR_PORTICO_INVALID_OPTION",
        },
      ]);
    });

    it("Express 4 is served without it", async () => {
      const app = express4();
      app.get("/", (_req, res) => void res.send("four"));
      const { wire } = await begin("https", {}, app);
      await (await wire()).get("/").heard("four");
    });
  });

  describe("valid options", () => {
    it("the defaults", () => {
      expect(checkOptions(app, undefined)).toMatchObject({
        where: { port: 8080, host: undefined },
        tls: undefined,
        http2: false,
        signals: ["SIGTERM", "SIGINT"],
        drain: { delayMs: 0, idleGraceMs: 500, deadlineMs: 8_000 },
        workers: 1,
        onUncaught: "drain",
        probes: { live: undefined, ready: undefined },
      });
    });

    it("undefined is the default everywhere", () => {
      const names = [
        "port",
        "host",
        "tls",
        "http2",
        "signals",
        "drain",
        "workers",
        "logger",
        "onUncaught",
        "probes",
      ];
      const options = Object.fromEntries(names.map((name) => [name, undefined]));
      expect(JSON.stringify(checkOptions(app, options))).toBe(JSON.stringify(checkOptions(app, {})));
    });

    it.each<[unknown, object]>([
      [0, { port: 0, host: undefined }],
      [65_535, { port: 65_535, host: undefined }],
      ["8080", { port: 8080, host: undefined }],
      ["0", { port: 0, host: undefined }],
      ["/run/app.sock", { path: "/run/app.sock" }],
    ])("port %p", (port, where) => {
      expect(checkOptions(app, { port: port as number }).where).toEqual(where);
    });

    it.each<[ServeOptions, object]>([
      [{ signals: false }, { signals: [] }],
      [{ signals: [] }, { signals: [] }],
      [{ signals: ["SIGUSR2", "SIGUSR2"] }, { signals: ["SIGUSR2"] }],
      [{ onUncaught: false }, { onUncaught: false }],
      [{ workers: 3 }, { workers: 3 }],
      [{ drain: { deadlineMs: 0 } }, { drain: { delayMs: 0, idleGraceMs: 500, deadlineMs: 0 } }],
      [{ probes: { live: "/a/b-c_d.e~f%20g" } }, { probes: { live: "/a/b-c_d.e~f%20g", ready: undefined } }],
    ])("%j", (options, plan) => {
      expect(checkOptions(app, options)).toMatchObject(plan);
    });

    it("auto is at least one worker", () => {
      expect(checkOptions(app, { workers: "auto" }).workers).toBeGreaterThanOrEqual(1);
    });

    it("later changes of the options object have no effect", () => {
      const signals: NodeJS.Signals[] = ["SIGTERM"];
      const drain = { deadlineMs: 10 };
      const plan = checkOptions(app, { signals, drain });
      signals.push("SIGINT");
      drain.deadlineMs = 20;
      expect(plan).toMatchObject({ signals: ["SIGTERM"], drain: { deadlineMs: 10 } });
    });
  });

  describe("a Windows pipe as the port", () => {
    const where = (port: string, host?: string) => checkOptions(express(), { port, host }).where;

    it.each([
      String.raw`\\.\pipe\app`,
      String.raw`\\?\pipe\iisnode-1f2e`,
      String.raw`\\.\PIPE\a\b`,
    ])("%s is listened on as a path", (path) => {
      expect(where(path)).toEqual({ path });
    });

    it.each([
      String.raw`\\.\pipe` + "\\",
      String.raw`\\server\share`,
      String.raw`\pipe\app`,
    ])("%s is no pipe", (path) => {
      expect(() => where(path)).toThrow(/absolute path of a Unix socket or a Windows pipe/);
    });

    it("has no host", () => {
      expect(() => where(String.raw`\\.\pipe\app`, "::1")).toThrow(/host: .*has no meaning with a pipe/);
    });
  });
});

describe("cores", () => {
  type Files = Readonly<Record<string, string>>;

  const V1 = "12:pids:/a\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/a\n";

  it.each<[what: string, cores: number, files: Files, workers: number]>([
    ["no control groups at all (macOS, Windows)", 8, {}, 8],
    [
      "version 2 without a limit",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n" },
      8,
    ],
    [
      "version 2 with two cores",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "200000 100000\n" },
      2,
    ],
    [
      "a limit above the cores",
      2,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "800000 100000\n" },
      2,
    ],
    [
      "two and a half cores keep two busy",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "250000 100000\n" },
      2,
    ],
    [
      "half a core is one process",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n" },
      1,
    ],
    [
      "a hundredth of a core is one process",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "1000 100000\n" },
      1,
    ],
    ["another period", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "30000 10000\n" }, 3],
    [
      "a limit without its period",
      8,
      { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "300000\n" },
      3,
    ],
    [
      "the limit of a group of its own",
      8,
      { "/proc/self/cgroup": "0::/kube/pod\n", "/sys/fs/cgroup/kube/pod/cpu.max": "300000 100000\n" },
      3,
    ],
    [
      "the limit of a group above",
      8,
      {
        "/proc/self/cgroup": "0::/kube/pod/app\n",
        "/sys/fs/cgroup/kube/cpu.max": "400000 100000\n",
        "/sys/fs/cgroup/kube/pod/app/cpu.max": "max 100000\n",
      },
      4,
    ],
    [
      "the tightest of several",
      8,
      {
        "/proc/self/cgroup": "0::/a/b\n",
        "/sys/fs/cgroup/a/cpu.max": "200000 100000\n",
        "/sys/fs/cgroup/a/b/cpu.max": "500000 100000\n",
      },
      2,
    ],
    [
      "a group named as the host knows it, mounted as the root",
      8,
      {
        "/proc/self/cgroup": "0::/../../system.slice/docker-1.scope\n",
        "/sys/fs/cgroup/cpu.max": "150000 100000\n",
      },
      1,
    ],
    [
      "a colon in a group's name",
      8,
      { "/proc/self/cgroup": "0::/a:b\n", "/sys/fs/cgroup/a:b/cpu.max": "300000 100000\n" },
      3,
    ],
    [
      "version 1 without a limit",
      8,
      {
        "/proc/self/cgroup": V1,
        "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
        "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
      },
      8,
    ],
    [
      "version 1 with three cores",
      8,
      {
        "/proc/self/cgroup": V1,
        "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "300000\n",
        "/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
      },
      3,
    ],
    [
      "version 1 within its container",
      8,
      {
        "/proc/self/cgroup": V1,
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
      },
      2,
    ],
    [
      "both versions: the one that has the cpu controller",
      8,
      {
        "/proc/self/cgroup": `${V1}0::/\n`,
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
      },
      2,
    ],
    [
      "version 1 where another controller's name begins with cpu",
      8,
      {
        "/proc/self/cgroup": "3:cpuset:/a\n",
        "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000",
        "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
      },
      8,
    ],
    ["nonsense", 8, { "/proc/self/cgroup": "nonsense\n0::\n\n", "/sys/fs/cgroup/cpu.max": "many few\n" }, 8],
    ["an empty file", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "" }, 8],
    ["nothing at all", 8, { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "0 100000\n" }, 8],
  ])("%s", (_what, cores, files, workers) => {
    expect(availableCores(cores, (path) => files[path])).toBe(workers);
  });

  it("on this machine: at least one, at most what the system reports", () => {
    expect(availableCores()).toBeGreaterThanOrEqual(1);
    expect(availableCores()).toBeLessThanOrEqual(availableParallelism());
  });
});

describe("types", () => {
  afterEach(closeAll);

  /** All that Express has a getter for. */
  const NAMES = [
    ...[
      "ip",
      "ips",
      "query",
      "protocol",
      "secure",
      "hostname",
      "host",
      "path",
      "subdomains",
      "fresh",
      "stale",
      "xhr",
    ],
  ];

  type Any = Record<string, unknown>;

  /** The results of assignments, in strict mode. */
  function assign(req: unknown): Any {
    const target = req as Any;
    for (const name of NAMES) target[name] = `own ${name}`;
    return Object.fromEntries(
      NAMES.map((name) => [name, Object.hasOwn(target, name) ? target[name] : "not its own"]),
    );
  }
  const ASSIGNED = Object.fromEntries(NAMES.map((name) => [name, `own ${name}`]));

  /** Not by `res.json`, which reads `req.fresh`. */
  function say(res: http.ServerResponse, value: unknown): void {
    const body = JSON.stringify(value);
    res.setHeader("Content-Length", body.length);
    res.end(body);
  }

  const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

  function onUpgrade(server: http.Server): Promise<Any> {
    return new Promise((resolve) => {
      server.on("upgrade", (req, socket) => {
        resolve(assign(req));
        socket.destroy();
      });
    });
  }

  describe.each(expressVersions)("%s", (_version, express) => {
    function assigning(): Express {
      const app = express();
      app.set("trust proxy", true);
      app.get("/plain", (req, res) => {
        const { ip, hostname, path, protocol } = req;
        res.json({ ip, hostname, path, protocol, query: req.query.a });
      });
      const inner = express();
      inner.use((req, res) => say(res, assign(req)));
      app.use("/inner", inner);
      app.use((req, res) => say(res, assign(req)));
      return app;
    }

    it.each([
      "http",
      "https",
    ] as const)("over %s, what a handler assigns to a request is the request's own, as in an app that is mounted", async (transport) => {
      const scene = await begin(transport, {}, assigning());
      const client = await scene.wire();
      await client.get("/a?a=1").heard("own xhr");
      await client.get("/inner?a=1").heard("own xhr");
      await client.get("/plain?a=1", "X-Forwarded-For: 10.1.2.3\r\n").heard("10.1.2.3");
      const [one, two, plain] = client.answers().map(({ body }) => JSON.parse(body));
      expect([one, two]).toEqual([ASSIGNED, ASSIGNED]);
      expect(plain).toEqual({
        ip: "10.1.2.3",
        hostname: "localhost",
        path: "/plain",
        protocol: transport,
        query: "1",
      });
    });

    it("in an upgrade too, as with a plain server", async () => {
      const scene = await begin("http", {}, assigning());
      const assigned = onUpgrade(scene.served.server as http.Server);
      await raw(scene.port, upgrade);
      expect(await assigned).toEqual(ASSIGNED);
    });

    it("with a server made by expressServerOptions", async () => {
      const app = assigning();
      const server = http.createServer(expressServerOptions(app), app);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const assigned = onUpgrade(server);
      await raw((server.address() as { port: number }).port, upgrade);
      expect(await assigned).toEqual(ASSIGNED);
      server.close();
    });

    it("a property that the app defines on app.request, before or after, replaces Express's", async () => {
      const app = express();
      Object.defineProperty(app.request, "ip", { configurable: true, get: () => "before" });
      app.get("/", (req: Request, res) => {
        const read = [req.ip, req.hostname, (req as never as Any).tenant];
        say(res, [...read, assign(req).ip]);
      });
      const scene = await begin("http", {}, app);
      Object.defineProperty(app.request, "hostname", { configurable: true, get: () => "after" });
      Object.defineProperty(app.request, "tenant", { configurable: true, get: () => "new", set() {} });
      Object.defineProperty(app.request, "hostname", { configurable: true, get: () => "after", set() {} });
      const client = await scene.wire();
      await client.get("/").heard("before");
      expect(JSON.parse(client.answers()[0]!.body)).toEqual(["before", "after", "new", "own ip"]);
    });
  });

  it("over HTTP/2", async () => {
    const [[, express]] = expressVersions as [(typeof expressVersions)[0]];
    const app = express();
    app.use((req, res) => say(res, assign(req)));
    const scene = await begin("http2", {}, app);
    const session = http2.connect(scene.served.url, { rejectUnauthorized: false });
    const stream = session.request({ ":path": "/?a=1" }).setEncoding("utf8");
    let body = "";
    for await (const chunk of stream) body += chunk;
    session.destroy();
    expect(JSON.parse(body)).toEqual(ASSIGNED);
  });
});
