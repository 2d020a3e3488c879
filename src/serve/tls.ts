import { type Checker, isBag } from "../config/check.js";
import { HIDDEN } from "../config/config-error.js";
import { describeThrown } from "../http/thrown.js";
import type { TlsOptions } from "./options.js";

/** Reads the `tls` option. What is wrong with a key or a certificate is known here, not at the first handshake. */
export function checkTls(checker: Checker): TlsOptions | undefined {
  const { tls } = checker.options;
  if (tls === undefined) return undefined;
  if (!isBag(tls)) {
    checker.add("tls", "must be { key, cert }", HIDDEN);
    return undefined;
  }
  const before = checker.problems.length;
  for (const name of Object.keys(tls)) {
    if (name !== "key" && name !== "cert") {
      checker.addSecret(`tls.${name}`, "unknown option. The options are key, cert.");
    }
  }
  const key = checkPem(checker, "key", tls.key, /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/, "private key");
  const cert = checkPem(checker, "cert", tls.cert, /-----BEGIN CERTIFICATE-----/, "certificate");
  if (key === undefined || cert === undefined || checker.problems.length > before) return undefined;
  try {
    process.getBuiltinModule("node:tls").createSecureContext({ key, cert }); // compares the two as well
  } catch (error) {
    checker.addSecret("tls", `is refused: ${explain(error)}`);
  }
  return { key, cert };
}

function checkPem(
  checker: Checker,
  name: keyof TlsOptions,
  value: unknown,
  begin: RegExp,
  what: string,
): string | Buffer | undefined {
  const option = `tls.${name}`;
  if (typeof value !== "string" && !Buffer.isBuffer(value) && !(value instanceof Uint8Array)) {
    checker.addSecret(option, `must be the ${what} in PEM, as a string or a Buffer`);
    return undefined;
  }
  const text = typeof value === "string" ? value : Buffer.from(value).toString("latin1");
  if (!begin.test(text)) {
    const isPath = !text.includes("\n") && /\.(?:pem|key|crt|cer)$/.test(text);
    checker.addSecret(
      option,
      isPath ? `is a path: read the file, ${name}: readFileSync(…)` : `holds no ${what} in PEM`,
    );
    return undefined;
  }
  return typeof value === "string" ? value : Buffer.from(value);
}

function explain(error: unknown): string {
  const { message } = describeThrown(error);
  if (/key values mismatch/i.test(message)) return "the key is not the certificate's (key values mismatch)";
  if (/interrupted|bad decrypt|passphrase|bad password/i.test(message)) {
    return "the key is encrypted; decrypt it first (openssl pkey)";
  }
  return message;
}

/** When the certificate expired, if it has: no reason not to start, but to say so. */
export function expiry({ cert }: TlsOptions): string | undefined {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const { validTo } = new X509Certificate(cert);
  return Date.parse(validTo) < Date.now() ? validTo : undefined;
}
