import { type Checker, isBag } from "../lib/config/checker.js";
import { HIDDEN } from "../lib/config/config-error.js";
import { suggestion } from "../lib/config/did-you-mean.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import { words } from "../lib/values/words.js";
import type { TlsOptions } from "./options.js";

/** The options of Node's `tls.createServer`, without ALPN, which `http2` sets. */
const KNOWN = words(
  "key cert ca pfx passphrase allowPartialTrustChain ciphers clientCertEngine crl dhparam ecdhCurve",
  "enableTrace handshakeTimeout honorCipherOrder maxVersion minVersion privateKeyEngine",
  "privateKeyIdentifier pskCallback pskIdentityHint rejectUnauthorized requestCert requestOCSP",
  "secureContext secureOptions secureProtocol sessionIdContext sessionTimeout sigalgs SNICallback",
  "ticketKeys",
);

/** With one of these, `key` and `cert` may be left out. */
const OTHER_CREDENTIALS = ["pfx", "SNICallback", "secureContext", "pskCallback", "privateKeyIdentifier"];

/** Checks the `tls` option, so that what Node refuses is known at the start and not at the first handshake. */
export function checkTls(checker: Checker): TlsOptions | undefined {
  const { tls } = checker.options;
  if (tls === undefined) return undefined;
  if (!isBag(tls)) {
    checker.add("tls", "must be { key, cert }", HIDDEN);
    return undefined;
  }
  const before = checker.problems.length;
  for (const name of Object.keys(tls)) {
    if (!KNOWN.includes(name)) checker.addSecret(`tls.${name}`, reasonFor(name));
  }
  const options: Record<string, unknown> = { ...tls };
  const hasOtherCredentials = OTHER_CREDENTIALS.some((name) => options[name] !== undefined);
  for (const [name, begin, what] of PEMS) {
    const value = options[name];
    if (Array.isArray(value) || (hasOtherCredentials && value === undefined)) continue; // checked by Node below
    options[name] = checkPem(checker, name, value, begin, what);
  }
  if (checker.problems.length > before) return undefined;
  try {
    process.getBuiltinModule("node:tls").createServer(options); // also compares key and certificate
  } catch (error) {
    checker.addSecret("tls", `is refused: ${explainError(error, options)}`);
  }
  return options;
}

const PEMS = [
  ["key", /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/, "private key"],
  ["cert", /-----BEGIN CERTIFICATE-----/, "certificate"],
] as const;

function reasonFor(name: string): string {
  if (name === "ALPNProtocols" || name === "ALPNCallback") {
    return "is set by the option http2: true offers HTTP/2 and HTTP/1.1, false only HTTP/1.1";
  }
  return `unknown option. ${suggestion(name, KNOWN, "The options are those of Node's tls.createServer.")}`;
}

function checkPem(
  checker: Checker,
  name: "key" | "cert",
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

function explainError(error: unknown, { key, passphrase }: Record<string, unknown>): string {
  const { message } = describeThrown(error);
  if (/key values mismatch/i.test(message)) return "the key is not the certificate's (key values mismatch)";
  const isEncrypted = /ENCRYPTED/.test(String(key)); // OpenSSL may call an encrypted key unsupported
  const namesPassphrase = /interrupted|bad decrypt|passphrase|bad password|mac verify/i.test(message);
  if (namesPassphrase || (isEncrypted && /unsupported/.test(message))) {
    if (passphrase !== undefined) return "the passphrase is not the key's";
    return "the key is encrypted; give its passphrase, or decrypt it first (openssl pkey)";
  }
  return message.replace(/ Received .*$/s, ""); // Node's message ends with the value
}

/** The date on which the certificate expired, if it has. The server starts nevertheless, and warns. */
export function expiredOn(options: TlsOptions): string | undefined {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const cert = [options.cert].flat()[0] ?? pfxCertificate(options);
  if (cert === undefined) return undefined; // SNICallback has one for each host name
  const { validTo } = new X509Certificate(cert);
  return Date.parse(validTo) < Date.now() ? validTo : undefined;
}

/** The certificate in a PKCS #12 file; `getCertificate` is not in Node's documentation. */
function pfxCertificate(options: TlsOptions): Buffer | undefined {
  if (options.pfx === undefined) return undefined;
  const { context } = process.getBuiltinModule("node:tls").createSecureContext(options);
  const get = peek(context, "getCertificate");
  return typeof get === "function" ? (get.call(context) ?? undefined) : undefined;
}
