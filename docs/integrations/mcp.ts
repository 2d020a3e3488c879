import { randomUUID } from "node:crypto";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import type { OAuthTokenVerifier } from "@modelcontextprotocol/sdk/server/auth/provider.js";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import express, { type RequestHandler } from "express";
import { authenticate, bearer, contextOf, portico, requireScopes } from "express-portico";

export interface McpOptions {
  /** A new server for each session. */
  readonly newServer: () => McpServer;
  /** The address that clients use, such as `https://mcp.example/mcp`. */
  readonly resource: URL;
  /** The authorization server, and what knows its tokens. */
  readonly issuer: string;
  readonly verifier: OAuthTokenVerifier;
  /** To the head of a response; an event stream may take longer. */
  readonly timeoutMs: number;
}

/** An app with an MCP server at `/mcp`: sessions over Streamable HTTP, for clients with a token. */
export function mcpApp({ newServer, resource, issuer, verifier, timeoutMs }: McpOptions): express.Express {
  const { before, after } = portico({
    allowedHosts: [resource.hostname], // DNS rebinding: a page of another site could reach a server on this machine
    headers: { preset: "api" },
    csrf: {},
    compress: {},
    timeout: timeoutMs,
    bodyLimit: "4mb",
  });
  const metadata = new URL("/.well-known/oauth-protected-resource/mcp", resource).href;
  const user = bearer({ resourceMetadata: metadata, verify: (token) => principalOf(token, verifier) });

  const app = express();
  app.use(before);
  app.get("/.well-known/oauth-protected-resource/mcp", (_req, res) => {
    res.json({ resource: resource.href, authorization_servers: [issuer], scopes_supported: ["mcp"] });
  });
  app.use("/mcp", authenticate(user), requireScopes("mcp"), authInfo, express.json({ limit: "4mb" }));
  app.all("/mcp", sessions(newServer));
  app.use(after);
  return app;
}

/** The SDK's verifier throws for a token that it does not know. `scope` is what `requireScopes` reads. */
async function principalOf(token: string, verifier: OAuthTokenVerifier) {
  try {
    const info = await verifier.verifyAccessToken(token);
    return { ...info, scope: info.scopes.join(" ") };
  } catch (error) {
    if (error instanceof InvalidTokenError) return false;
    throw error;
  }
}

/** The SDK gives tools what is in `req.auth`, in its own form: `extra.authInfo`. */
const authInfo: RequestHandler = (req, _res, next) => {
  Object.assign(req, { auth: contextOf(req).auth?.principal });
  next();
};

function sessions(newServer: () => McpServer): RequestHandler {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  return async (req, res) => {
    const id = req.get("Mcp-Session-Id");
    let transport = transports.get(id ?? "");
    if (transport === undefined) {
      // 404 makes the client begin a new session.
      if (id !== undefined)
        throw Object.assign(new Error("There is no such session."), { status: 404, expose: true });
      const created = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void transports.set(id, created),
      });
      created.onclose = () => void transports.delete(created.sessionId ?? "");
      await newServer().connect(created as Transport);
      transport = created;
    }
    // The stream for the server's own messages would keep the server open until the deadline.
    const stream = transport;
    if (req.method === "GET") {
      contextOf(req).closing.addEventListener("abort", () => stream.closeStandaloneSSEStream());
    }
    await transport.handleRequest(req, res, req.body);
  };
}
