import { DemoInMemoryAuthProvider } from "@modelcontextprotocol/sdk/examples/server/demoInMemoryOAuthProvider.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { mcpAuthRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import express from "express";
import { serve } from "express-portico";
import { z } from "zod";
import { mcpApp } from "../../../docs/integrations/mcp.js";

const print = (fields: object) => console.log(JSON.stringify(fields));
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const text = (text: string) => ({ content: [{ type: "text" as const, text }] });

function newServer(): McpServer {
  const server = new McpServer({ name: "weather", version: "1.0.0" }, { capabilities: { logging: {} } });
  server.registerTool("forecast", { inputSchema: { city: z.string() } }, async ({ city }) =>
    text(`Sunny in ${city}`),
  );
  server.registerTool("long", { inputSchema: {} }, async () => text("a long forecast ".repeat(1_000)));
  server.registerTool("fails", { inputSchema: {} }, async () => {
    throw new Error("no satellite");
  });
  server.registerTool("whoami", { inputSchema: {} }, async (_args, { authInfo }) =>
    text(`${authInfo?.clientId === undefined ? "nobody" : "a client"} with ${authInfo?.scopes.join()}`),
  );
  // Reports its progress for longer than the timeout.
  server.registerTool("slow", { inputSchema: {} }, async (_args, { sendNotification, _meta }) => {
    print({ waiting: "slow" });
    for (let progress = 1; progress <= 4; progress++) {
      await wait(450);
      const progressToken = _meta?.progressToken ?? 0;
      await sendNotification({
        method: "notifications/progress",
        params: { progressToken, progress, total: 4 },
      });
    }
    return text("done");
  });
  server.registerTool("announce", { inputSchema: {} }, async () => {
    await server.sendLoggingMessage({ level: "info", data: "a storm" });
    return text("announced");
  });
  return server;
}

const provider = new DemoInMemoryAuthProvider();
const verifier = {
  verifyAccessToken: (token: string) =>
    provider.verifyAccessToken(token).catch((error: Error) => {
      throw new InvalidTokenError(error.message);
    }),
};

// The authorization server, the SDK's own.
const login = express();
const { url: issuer } = await serve(login, { port: 0, host: "127.0.0.1" });
login.use(mcpAuthRouter({ provider, issuerUrl: new URL(issuer), scopesSupported: ["mcp"] }));

// The metadata has the address that clients use, so the port is chosen first.
let app: express.Express | undefined;
const { url } = await serve((req, res) => void app!(req, res), { port: 0, host: "127.0.0.1" });
app = mcpApp({
  newServer,
  resource: new URL(`${url}/mcp`),
  issuer: `${issuer}/`,
  verifier,
  timeoutMs: 1_500,
});
print({ url });
