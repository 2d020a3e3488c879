import http from "node:http";
import { type OAuthClientProvider, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { OAuthClientInformationMixed, OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { until } from "../support/server.js";
import { ask, buildApp, endPrograms, hold, type Program, removePrograms, startProgram } from "./support.js";

let program: Program;
let mcp: URL;
beforeAll(async () => {
  program = await startProgram(buildApp("mcp"));
  mcp = new URL("/mcp", program.url);
});
afterAll(async () => {
  await endPrograms();
  removePrograms();
});

/** What a client stores of its log-in. The user's browser goes where `redirectToAuthorization` says. */
class Login implements OAuthClientProvider {
  readonly redirectUrl = "http://localhost:8090/callback";
  readonly clientMetadata = {
    client_name: "a test",
    redirect_uris: [this.redirectUrl],
    token_endpoint_auth_method: "none",
    scope: "mcp",
  };
  page: URL | undefined;
  private client: OAuthClientInformationMixed | undefined;
  private issued: OAuthTokens | undefined;
  private verifier = "";
  clientInformation = () => this.client;
  saveClientInformation = (client: OAuthClientInformationMixed) => void (this.client = client);
  tokens = () => this.issued;
  saveTokens = (tokens: OAuthTokens) => void (this.issued = tokens);
  redirectToAuthorization = (page: URL) => void (this.page = page);
  saveCodeVerifier = (verifier: string) => void (this.verifier = verifier);
  codeVerifier = () => this.verifier;
}

const login = new Login();

async function connect(): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const transport = new StreamableHTTPClientTransport(mcp, { authProvider: login });
  const client = new Client({ name: "a test", version: "1.0.0" });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return { client, transport };
}

const textOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]!.text;
const authorization = () => ({ Authorization: `Bearer ${login.tokens()?.access_token}` });

/** The records of `/mcp` as `METHOD status`. */
const requests = () =>
  program.records.filter(({ path }) => path === "/mcp").map(({ method, status }) => `${method} ${status}`);

it("the SDK's client finds the authorization server by our challenge, logs in, and connects with its token", async () => {
  const transport = new StreamableHTTPClientTransport(mcp, { authProvider: login });
  const client = new Client({ name: "a test", version: "1.0.0" });
  await expect(client.connect(transport as Parameters<typeof client.connect>[0])).rejects.toThrow(
    UnauthorizedError,
  );
  expect(login.page?.pathname).toBe("/authorize");
  expect(login.page?.searchParams.get("resource")).toBe(mcp.href);
  const { headers } = await fetch(login.page!, { redirect: "manual" });
  await transport.finishAuth(new URL(headers.get("location")!).searchParams.get("code")!);
  await (await connect()).client.close();
  await until(() => requests().includes("POST 200"));
  expect(requests().slice(0, 2)).toEqual(["POST 401", "POST 200"]);
  const metadata = program.records.filter(({ path }) => path.startsWith("/.well-known"));
  expect(new Set(metadata.map(({ path, status }) => `${path} ${status}`))).toEqual(
    new Set(["/.well-known/oauth-protected-resource/mcp 200"]),
  );
  await client.close();
});

it("without a token, or with a wrong one, the challenge has resource_metadata", async () => {
  const metadata = `resource_metadata="${program.url}/.well-known/oauth-protected-resource/mcp"`;
  const none = await ask(mcp.href, { method: "POST" });
  expect([none.status, none.headers.get("www-authenticate")]).toEqual([
    401,
    `Bearer realm="api", ${metadata}`,
  ]);
  const wrong = await ask(mcp.href, { method: "POST", headers: { Authorization: "Bearer nonsense" } });
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get("www-authenticate")).toMatch(/error="invalid_token"/);
  expect(wrong.headers.get("www-authenticate")).toContain(metadata);
});

it("tools answer, know their caller, and fail as the protocol says; each call is one record", async () => {
  const { client } = await connect();
  const before = requests().length;
  expect(textOf(await client.callTool({ name: "forecast", arguments: { city: "Rome" } }))).toBe(
    "Sunny in Rome",
  );
  expect(textOf(await client.callTool({ name: "whoami" }))).toBe("a client with mcp");
  expect(await client.callTool({ name: "fails" })).toMatchObject({ isError: true });
  expect(textOf(await client.callTool({ name: "long" }))).toHaveLength(16_000);
  const calls = () =>
    requests()
      .slice(before)
      .filter((one) => one === "POST 200");
  await until(() => calls().length >= 4);
  expect(
    program.records.filter(({ method, status, aborted }) => status >= 500 || (aborted && method !== "GET")),
  ).toEqual([]);
  await client.close();
});

it("the events of a slow tool arrive as they are sent, also after the timeout", async () => {
  const { client } = await connect();
  const arrived: number[] = [];
  const result = await client.callTool({ name: "slow" }, undefined, {
    onprogress: ({ progress }) => {
      arrived.push(progress);
    },
  });
  expect(textOf(result)).toBe("done");
  expect(arrived).toEqual([1, 2, 3, 4]);
  await client.close();
});

it("the server's own messages come over the stream of a GET, which compress and timeout leave alone", async () => {
  const { client } = await connect();
  const messages: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    messages.push(params.data);
  });
  await client.callTool({ name: "announce" });
  await until(() => messages.length > 0);
  expect(messages).toEqual(["a storm"]);
  await client.close();
});

it("DELETE ends a session; after that the session is a 404, as problem details", async () => {
  const { client, transport } = await connect();
  const id = transport.sessionId!;
  await transport.terminateSession();
  await client.close();
  await until(() => requests().some((one) => one === "DELETE 200"));
  const gone = await ask(mcp.href, {
    method: "POST",
    headers: {
      ...authorization(),
      "Mcp-Session-Id": id,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });
  expect([gone.status, JSON.parse(gone.text)]).toMatchObject([404, { detail: "There is no such session." }]);
});

it("another host, a page of another site, and a body that is too long are refused before the SDK", async () => {
  const rebound = await new Promise<number>((resolve, reject) => {
    const req = http.request(mcp, { method: "POST", headers: { ...authorization(), Host: "evil.example" } });
    req.on("response", (res) => resolve(res.resume().statusCode!)).on("error", reject);
    req.end();
  });
  expect(rebound).toBe(421);
  const forged = await ask(mcp.href, {
    method: "POST",
    headers: { ...authorization(), Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" },
  });
  expect(forged.status).toBe(403);
  const long = await ask(mcp.href, {
    method: "POST",
    headers: { ...authorization(), "Content-Type": "application/json" },
    body: JSON.stringify({ text: "x".repeat(5_000_000) }),
  }).catch(() => ({ status: 413 })); // the connection closes while the body is still being sent
  expect(long.status).toBe(413);
  await until(() => ["POST 421", "POST 403", "POST 413"].every((one) => requests().includes(one)));
});

it("SIGTERM: the call under way is answered, the open stream ends, and nothing is forced", async () => {
  const { client } = await connect();
  const before = program.lines.filter(({ waiting }) => waiting === "slow").length;
  const result = hold(client.callTool({ name: "slow" }, undefined, { onprogress: () => {} }));
  await until(() => program.lines.filter(({ waiting }) => waiting === "slow").length > before);
  const exit = await program.end();
  expect(textOf(await result)).toBe("done");
  expect(exit).toEqual({ code: 0, signal: null });
  const closed = program.lines.filter(({ message }) => message === "closed");
  expect(closed).toHaveLength(2); // the authorization server too
  for (const { forced } of closed) expect(forced).toBe(false);
  expect(
    program.records.filter(({ method, path }) => method === "GET" && path === "/mcp").at(-1),
  ).toMatchObject({
    status: 200,
    route: "/mcp",
  });
  await client.close();
});
