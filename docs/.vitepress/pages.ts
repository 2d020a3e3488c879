/** The pages of the site in the order of the sidebar, which is the order of `llms-full.txt` too. */
export interface Section {
  readonly title: string;
  readonly pages: readonly (readonly [title: string, path: string])[];
}

export const SECTIONS: readonly Section[] = [
  {
    title: "Start",
    pages: [
      ["What it is", "index.md"],
      ["The first app", "guides/start.md"],
      ["The order", "guides/order.md"],
      ["Other packages, and their place", "beside.md"],
      ["Integrations", "integrations.md"],
    ],
  },
  {
    title: "Guides",
    pages: [
      ["An API for a single-page app", "guides/spa-api.md"],
      ["A server-rendered site", "guides/server-rendered.md"],
      ["WebSockets and server-sent events", "guides/websockets-and-sse.md"],
      ["Behind nginx or a load balancer", "proxies.md"],
      ["In production, on Kubernetes", "production.md"],
      ["Lambda", "guides/lambda.md"],
      ["MCP server", "guides/mcp.md"],
      ["NestJS", "guides/nestjs.md"],
      ["Next.js", "guides/nextjs.md"],
      ["Recipes: one file to copy", "recipes.md"],
    ],
  },
  {
    title: "Coming from",
    pages: [
      ["From cors", "migrating/cors.md"],
      ["From helmet", "migrating/helmet.md"],
      ["From morgan", "migrating/morgan.md"],
      ["From compression", "migrating/compression.md"],
      ["From connect-timeout", "migrating/connect-timeout.md"],
      ["From express-jwt", "migrating/express-jwt.md"],
      ["From pino-http", "migrating/pino-http.md"],
      ["From terminus", "migrating/terminus.md"],
      ["From apicache", "migrating/apicache.md"],
      ["From csurf", "migrating/csurf.md"],
      ["Whole applications", "migrating.md"],
    ],
  },
  {
    title: "Middleware",
    pages: [
      ["portico, notFound", "portico.md"],
      ["requestContext", "context.md"],
      ["requestLog", "request-log.md"],
      ["metrics", "metrics.md"],
      ["allowedHosts", "allowed-hosts.md"],
      ["securityHeaders", "security-headers.md"],
      ["cspReports", "csp-reports.md"],
      ["cors", "cors.md"],
      ["csrf", "csrf.md"],
      ["loadShed", "load-shed.md"],
      ["cache", "cache.md"],
      ["compress", "compress.md"],
      ["timeout", "timeout.md"],
      ["bodyLimit", "body-limit.md"],
      ["authenticate, authorize", "auth.md"],
      ["jwt", "jwt.md"],
      ["health", "health.md"],
      ["recover", "recover.md"],
    ],
  },
  {
    title: "Server and tools",
    pages: [
      ["serve", "serve.md"],
      ["chain, around, when, unless", "chain.md"],
      ["background", "background.md"],
      ["offload", "offload.md"],
      ["Without a server", "serverless.md"],
      ["Check an app", "pipeline.md"],
      ["Add it to an app", "init.md"],
      ["Inspector", "inspector.md"],
      ["Test kit", "testing.md"],
    ],
  },
  {
    title: "More",
    pages: [
      ["Who sent this status", "guides/statuses.md"],
      ["Errors of the configuration", "errors.md"],
      ["Performance", "performance.md"],
      ["Architecture", "architecture.md"],
      ["Contributing", "project/contributing.md"],
      ["Security", "project/security.md"],
      ["Changelog", "project/changelog.md"],
    ],
  },
];

/** Files of the repository outside `docs/` that are pages of the site, by their page's name in `docs/project/`. */
export const PROJECT_PAGES: Readonly<Record<string, string>> = {
  contributing: "CONTRIBUTING.md",
  security: "SECURITY.md",
  changelog: "CHANGELOG.md",
};
