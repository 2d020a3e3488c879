import { authenticate } from "express-portico";
import { type JwtAlgorithm, jwt } from "express-portico/jwt";
import type { CryptoKey } from "jose";
import { generateKeyPair, generateSecret, jwtVerify, SignJWT } from "jose";
import { app, type Case } from "./cases.js";

const expected = { issuer: "https://issuer.example/", audience: "https://api.example" };

/** Verifies a token through `authenticate`, against jose alone with an imported key. */
export async function jwtCases(): Promise<Case[]> {
  const algorithms = ["HS256", "RS256", "ES256", "EdDSA"] as const;
  return Promise.all(algorithms.map(jwtCase));
}

async function jwtCase(algorithm: JwtAlgorithm): Promise<Case> {
  const { key, signer } = await keysFor(algorithm);
  const token = await new SignJWT({ scope: "orders:read orders:write", name: "Ann Other", roles: ["clerk"] })
    .setProtectedHeader({ alg: algorithm, typ: "at+jwt", kid: "2026-11" })
    .setIssuer(expected.issuer)
    .setAudience(expected.audience)
    .setSubject("user-1234")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(signer);
  const options = { ...expected, algorithms: [algorithm] };
  return {
    name: `jwt ${algorithm}`,
    bare: app(),
    ours: { name: "ours", app: app(authenticate(jwt({ ...options, key }))) },
    peer: {
      name: "jose",
      app: app((req, _res, next) => {
        const sent = req.headers.authorization!.slice("Bearer ".length);
        jwtVerify(sent, key, options).then(() => next(), next);
      }),
    },
    limit: 1.25,
    shape: { headers: { authorization: `Bearer ${token}` } },
    requests: 300,
  };
}

async function keysFor(algorithm: JwtAlgorithm) {
  if (algorithm === "HS256") {
    const secret = (await generateSecret(algorithm)) as CryptoKey;
    return { key: secret, signer: secret };
  }
  const { publicKey, privateKey } = await generateKeyPair(algorithm);
  return { key: publicKey as CryptoKey, signer: privateKey };
}
