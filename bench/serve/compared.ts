export interface Limit {
  readonly name: string;
  readonly ours: string;
  readonly peer: string;
  readonly limit: number;
}

/** The arguments of server.mjs, and the name in the table. */
export const SERVERS: Readonly<Record<string, string>> = {
  "others bare": "`node:http`, bare",
  "others inlined": "`node:http`, the work of `portico()` in one function",
  "fastify bare": "Fastify, bare",
  "express bare serve": "Express under `serve`, bare",
  "express bare listen": "Express by `app.listen`, bare",
  "others hono": "Hono with its secureHeaders, cors and logger",
  "others koa": "Koa with koa-helmet, @koa/cors and koa-morgan",
  "fastify plugins": "Fastify with @fastify/helmet, @fastify/cors and its logger",
  "express portico serve": "**Express with `portico()` under `serve`**",
  "express portico listen": "Express with `portico()` by `app.listen`",
  "express hand listen": "Express by hand: helmet, cors and morgan",
  "express around serve": "Express under `serve` with context, timeout and `around`",
};

/** The middleware are added from top to bottom. Express by hand and Fastify have no context; recovery is their own. */
export const STEPS: Readonly<Record<string, { ours?: string; hand?: string; fastify?: string }>> = {
  bare: { ours: "express bare serve", hand: "express bare listen", fastify: "fastify bare" },
  "+ context": { ours: "express context serve" },
  "+ log": { ours: "express log serve", hand: "express hand-log listen", fastify: "fastify log" },
  "+ headers": {
    ours: "express headers serve",
    hand: "express hand-headers listen",
    fastify: "fastify headers",
  },
  "+ CORS and recovery": {
    ours: "express cors serve",
    hand: "express hand listen",
    fastify: "fastify plugins",
  },
};

/** Node 24 and 26 have their own limits: there Express's change of prototypes costs next to nothing. */
export function limitsFor(major: string): Limit[] {
  const isOld = Number(major) < 24;
  const serve = "express portico serve";
  return [
    {
      name: "bare route: serve, to app.listen",
      ours: "express bare serve",
      peer: "express bare listen",
      limit: isOld ? 0.45 : 0.85,
    },
    {
      name: "portico() under serve, to Express by hand",
      ours: serve,
      peer: "express hand listen",
      limit: isOld ? 0.45 : 0.72,
    },
    ...(isOld
      ? []
      : [
          {
            name: "portico() under serve, to Fastify with its plugins",
            ours: serve,
            peer: "fastify plugins",
            limit: 1.1,
          },
          {
            name: "portico() by app.listen, to Express by hand",
            ours: "express portico listen",
            peer: "express hand listen",
            limit: 0.8,
          },
        ]),
    {
      name: "context, timeout and around, to the bare route",
      ours: "express around serve",
      peer: "express bare serve",
      limit: 1.25,
    },
  ];
}
