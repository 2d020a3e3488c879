import { type Checker, isBag } from "../lib/config/checker.js";
import { HIDDEN } from "../lib/config/config-error.js";
import { didYouMean } from "../lib/config/did-you-mean.js";
import { describeThrown, peek } from "../lib/values/thrown.js";
import type { TlsOptions } from "./options.js";

/** What Node's `tls.createServer` knows, but for ALPN, which is ours. */
const KNOWN = [
  "key",
  "cert",
  "ca",
  "pfx",
  "passphrase",
  "allowPartialTrustChain",
  "ciphers",
  "clientCertEngine",
  "crl",
  "dhparam",
  "ecdhCurve",
  "enableTrace",
  "handshakeTimeout",
  "honorCipherOrder",
  "maxVersion",
  "minVersion",
  "privateKeyEngine",
  "privateKeyIdentifier",
  "pskCallback",
  "pskIdentityHint",
  "rejectUnauthorized",
  "requestCert",
  "requestOCSP",
  "secureContext",
  "secureOptions",
  "secureProtocol",
  "sessionIdContext",
  "sessionTimeout",
  "sigalgs",
  "SNICallback",
  "ticketKeys",
];

/** One of these, and `key` and `cert` may be left out. */
const OTHER_CREDENTIALS = ["pfx", "SNICallback", "secureContext", "pskCallback", "privateKeyIdentifier"];

/** Reads the `tls` option. What Node would refuse is known here, not at the first handshake. */
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
  const isFree = OTHER_CREDENTIALS.some((name) => options[name] !== undefined);
  for (const [name, begin, what] of PEMS) {
    const value = options[name];
    if (Array.isArray(value) || (isFree && value === undefined)) continue; // Node checks those
    options[name] = checkPem(checker, name, value, begin, what);
  }
  if (checker.problems.length > before) return undefined;
  try {
    process.getBuiltinModule("node:tls").createServer(options); // compares key and certificate as well
  } catch (error) {
    checker.addSecret("tls", `is refused: ${explain(error, options)}`);
  }
  return options;
}

const PEMS = [
  ["key", /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/, "private key"],
  ["cert", /-----BEGIN CERTIFICATE-----/, "certificate"],
] as const;

function reasonFor(name: string): string {
  if (name === "ALPNProtocols" || name === "ALPNCallback") {
    return "is set by the option http2: true offers HTTP/2 and HTTP/1.1, false HTTP/1.1 alone";
  }
  const meant = didYouMean(name, KNOWN);
  return `unknown option. ${meant === undefined ? "The options are those of Node's tls.createServer." : `Did you mean "${meant}"?`}`;
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

function explain(error: unknown, { key, passphrase }: Record<string, unknown>): string {
  const { message } = describeThrown(error);
  if (/key values mismatch/i.test(message)) return "the key is not the certificate's (key values mismatch)";
  const isEncrypted = /ENCRYPTED/.test(String(key)); // OpenSSL sometimes calls such a key unsupported
  const isAboutIt = /interrupted|bad decrypt|passphrase|bad password|mac verify/i.test(message);
  if (isAboutIt || (isEncrypted && /unsupported/.test(message))) {
    if (passphrase !== undefined) return "the passphrase is not the key's";
    return "the key is encrypted; give its passphrase, or decrypt it first (openssl pkey)";
  }
  return message.replace(/ Received .*$/s, ""); // Node shows the value
}

/** When the certificate expired, if it has: no reason not to start, but to say so. */
export function expiry(options: TlsOptions): string | undefined {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const cert = [options.cert].flat()[0] ?? ownCertificate(options);
  if (cert === undefined) return undefined; // one for each host name
  const { validTo } = new X509Certificate(cert);
  return Date.parse(validTo) < Date.now() ? validTo : undefined;
}

/** Of a PKCS #12 file; the method is not in Node's documentation. */
function ownCertificate(options: TlsOptions): Buffer | undefined {
  if (options.pfx === undefined) return undefined;
  const { context } = process.getBuiltinModule("node:tls").createSecureContext(options);
  const get = peek(context, "getCertificate");
  return typeof get === "function" ? (get.call(context) ?? undefined) : undefined;
}
