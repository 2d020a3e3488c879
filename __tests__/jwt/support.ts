import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import express, { type Express, type RequestHandler } from "express";
import request from "supertest";
import { authenticate, contextOf, recover } from "../../src/index.js";
import { type JwtAlgorithm, type JwtOptions, jwt } from "../../src/jwt/index.js";

/** Makes tokens without the library that checks them, so that they can be wrong in any way. */

/** Keys of RSA are kept in files, because it takes up to seconds to make one. They are used in these tests only. */
const fixture = (name: string) => readFileSync(join(__dirname, "fixtures", `${name}.pem`));
export const publicFixture = (name: "rsa-1024" | "rsa-pss") => createPublicKey(fixture(`${name}.public`));

const privateRsa = createPrivateKey(fixture("rsa"));
const rsa = { privateKey: privateRsa, publicKey: createPublicKey(privateRsa) };
const pairOf = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
const [p256, p384, p521, ed25519] = [
  pairOf("P-256"),
  pairOf("P-384"),
  pairOf("P-521"),
  generateKeyPairSync("ed25519"),
];

export const SECRET = Buffer.alloc(64, "a secret that is known to nobody");
export const pairs = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: p256,
  ES384: p384,
  ES512: p521,
  EdDSA: ed25519,
  Ed25519: ed25519,
} satisfies Partial<Record<JwtAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }>>;
export type Asymmetric = keyof typeof pairs;

export const b64 = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export function signature(algorithm: string, data: string, key: KeyObject | Buffer): Buffer {
  const hash = `sha${algorithm.slice(2)}`;
  const input = Buffer.from(data);
  if (algorithm.startsWith("HS")) return createHmac(hash, key).update(input).digest();
  if (algorithm.startsWith("Ed")) return sign(null, input, key as KeyObject);
  if (algorithm.startsWith("ES")) {
    return sign(hash, input, { key: key as KeyObject, dsaEncoding: "ieee-p1363" });
  }
  const isPss = algorithm.startsWith("PS");
  return sign(hash, input, {
    key: key as KeyObject,
    padding: isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING,
    ...(isPss && { saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
  });
}

export const keyFor = (algorithm: string): KeyObject | Buffer =>
  algorithm.startsWith("HS") ? SECRET : pairs[algorithm as Asymmetric].privateKey;

/** A token with exactly this header and these claims (as text, for claims that are not valid JSON). */
export function token(
  header: unknown,
  claims: unknown,
  key?: KeyObject | Buffer,
  algorithm?: string,
): string {
  const name = algorithm ?? String((header as { alg?: unknown }).alg);
  const data = `${b64(header)}.${b64(claims)}`;
  return `${data}.${signature(name, data, key ?? keyFor(name)).toString("base64url")}`;
}

export const ISSUER = "https://issuer.example/";
export const AUDIENCE = "https://api.example";
export const now = () => Math.floor(Date.now() / 1_000);

/** The claims of a valid token; a claim that is given as undefined is left out. */
export const claims = (more: object = {}) => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: "ann",
  exp: now() + 3_600,
  iat: now(),
  ...more,
});

export const good = (algorithm: JwtAlgorithm, more: object = {}, header: object = {}) =>
  token({ alg: algorithm, ...header }, claims(more));

export const jwkOf = (algorithm: Asymmetric, more: object = {}): JsonWebKey => ({
  ...pairs[algorithm].publicKey.export({ format: "jwk" }),
  ...more,
});

export const pemOf = (algorithm: Asymmetric): string =>
  pairs[algorithm].publicKey.export({ format: "pem", type: "spki" }) as string;

export const base = { issuer: ISSUER, audience: AUDIENCE };
export const withKey = (algorithm: Asymmetric, more: Partial<JwtOptions> = {}) =>
  jwt({ ...base, algorithms: [algorithm], key: pairs[algorithm].publicKey, ...more });
export const withSecret = (more: Partial<JwtOptions> = {}) =>
  jwt({ ...base, algorithms: ["HS256"], key: SECRET, ...more });

/** An app that answers with the principal. */
export function appWith(...handlers: RequestHandler[]): Express {
  const app = express();
  app.use(...handlers);
  app.use((req, res) => void res.json(contextOf(req).auth ?? "anonymous"));
  app.use(recover({ logger: silent }));
  return app;
}

const nothing = () => {};
export const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

type Schemes = Parameters<typeof authenticate>[0];

/** One server for the apps of all tests of a file: the header X-App says which one is asked. */
const apps: Express[] = [];
const numbers = new Map<Schemes, number>();
const server = http.createServer((req, res) => apps[Number(req.headers["x-app"])]!(req, res));
afterAll(() => {
  server.closeAllConnections();
  return new Promise<void>((resolve) => server.close(() => resolve()));
});

export const send = (schemes: Schemes, bearer: string) => {
  const number = numbers.get(schemes) ?? apps.push(appWith(authenticate(schemes))) - 1;
  if (!Array.isArray(schemes)) numbers.set(schemes, number);
  if (!server.listening) server.listen(0, "127.0.0.1");
  return request(server).get("/").set("X-App", String(number)).set("Authorization", `Bearer ${bearer}`);
};

export const INVALID = 'Bearer realm="api", error="invalid_token"';
