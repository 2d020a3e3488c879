import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext, type TLSSocket } from "node:tls";
import { generate } from "selfsigned";
import { certificate } from "../support/certificate.js";
import { begin, closeAll, refusal } from "./support.js";

afterEach(closeAll);

describe("a key and a certificate", () => {
  const OTHER = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const pem = (options: object = {}) =>
    OTHER().export({ type: "pkcs8", format: "pem", ...options } as never) as unknown as string;

  it.each<[string, (right: { key: string; cert: string }) => unknown, RegExp[]]>([
    [
      "swapped",
      ({ key, cert }) => ({ key: cert, cert: key }),
      [/tls.key: holds no private key/, /tls.cert: holds no certificate/],
    ],
    [
      "as paths",
      () => ({ key: "/etc/tls/key.pem", cert: "./cert.crt" }),
      [
        /tls.key: is a path: read the file, key: readFileSync/,
        /tls.cert: is a path: read the file, cert: readFileSync/,
      ],
    ],
    [
      "missing",
      () => ({}),
      [/tls.key: must be the private key in PEM/, /tls.cert: must be the certificate in PEM/],
    ],
    [
      "from variables that are not set",
      () => ({ key: undefined, cert: undefined }),
      [/tls.key: must be/, /tls.cert: must be/],
    ],
    [
      "empty",
      () => ({ key: "", cert: "" }),
      [/tls.key: holds no private key/, /tls.cert: holds no certificate/],
    ],
    [
      "of two pairs",
      ({ cert }) => ({ key: pem(), cert }),
      [/tls: is refused: the key is not the certificate's/],
    ],
    [
      "encrypted",
      ({ cert }) => ({ key: pem({ cipher: "aes-256-cbc", passphrase: "s3cret" }), cert }),
      [/tls: is refused: the key is encrypted; give its passphrase/],
    ],
    [
      "garbage between the right lines",
      ({ cert }) => ({ key: "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n", cert }),
      [/tls: is refused: /],
    ],
    [
      "a certificate that is garbage",
      ({ key }) => ({ key, cert: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }),
      [/tls: is refused: /],
    ],
    [
      "a key whose newlines were lost (\\n in a variable)",
      ({ key, cert }) => ({ key: key.replaceAll("\n", "\\n"), cert }),
      [/tls: is refused: .*|tls.key: /],
    ],
    [
      "a public key",
      ({ cert }) => ({ key: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", cert }),
      [/tls.key: holds no private key/],
    ],
    [
      "an unknown member",
      ({ key, cert }) => ({ key, cert, frobnicate: "s3cret" }),
      [/tls.frobnicate: unknown option. The options are those of Node's tls.createServer./],
    ],
    [
      "a misspelt option of Node",
      ({ key, cert }) => ({ key, cert, requestCerts: true }),
      [/tls.requestCerts: unknown option. Did you mean "requestCert"\?/],
    ],
    [
      "a passphrase that is not the key's",
      ({ cert }) => ({
        key: pem({ cipher: "aes-256-cbc", passphrase: "right" }),
        cert,
        passphrase: "s3cret",
      }),
      [/tls: is refused: the passphrase is not the key's/],
    ],
    ["a PKCS #12 file that is none", () => ({ pfx: Buffer.from("s3cret") }), [/tls: is refused: /]],
    [
      "a version that there is not",
      ({ key, cert }) => ({ key, cert, minVersion: "TLSv9" }),
      [/tls: is refused: .*TLSv9/],
    ],
    [
      "ciphers that there are not",
      ({ key, cert }) => ({ key, cert, ciphers: "NONE" }),
      [/tls: is refused: /],
    ],
    ["an SNICallback that is none", () => ({ SNICallback: "s3cret" }), [/tls: is refused: .*SNICallback/]],
    [
      "a handshake timeout that is no number",
      ({ key, cert }) => ({ key, cert, handshakeTimeout: "1s" }),
      [/tls: is refused: .*handshakeTimeout/],
    ],
    [
      "protocols of ALPN",
      ({ key, cert }) => ({ key, cert, ALPNProtocols: ["h2"] }),
      [/tls.ALPNProtocols: is set by the option http2/],
    ],
    [
      "a misspelt member",
      ({ key, cert }) => ({ kye: key, cert }),
      [/tls.kye: unknown option/, /tls.key: must be/],
    ],
    ["a number", () => ({ key: 1, cert: 2 }), [/tls.key: must be/, /tls.cert: must be/]],
  ])("%s: refused, and nothing of it is printed", async (_what, make, reasons) => {
    const right = await certificate();
    const { message, problems } = await refusal({ port: 0, tls: make(right) });
    for (const reason of reasons) expect(message).toMatch(reason);
    expect(problems).toHaveLength(reasons.length);
    const shown = message + JSON.stringify(problems) + String(problems.map(({ value }) => String(value)));
    expect(shown).not.toMatch(/s3cret|BEGIN|AAAA/);
    expect(shown).not.toContain(right.key.split("\n")[1]);
    expect(shown).not.toContain(right.cert.split("\n")[1]);
  });

  it.each(["string", "Buffer", "Uint8Array"])("as a %s are served", async (form) => {
    const right = await certificate();
    const as = (text: string) =>
      form === "string" ? text : form === "Buffer" ? Buffer.from(text) : new Uint8Array(Buffer.from(text));
    const { wire, log } = await begin("https", {
      tls: { key: as(right.key), cert: as(right.cert) } as never,
    });
    await (await wire()).get("/").heard("200 OK");
    expect(log).toEqual([]);
  });

  it("with a chain behind the certificate are served", async () => {
    const [right, root] = [
      await certificate(),
      await generate([{ name: "commonName", value: "root" }], { keyType: "ec" }),
    ];
    const { wire } = await begin("https", { tls: { key: right.key, cert: `${right.cert}\n${root.cert}` } });
    await (await wire()).get("/").heard("200 OK");
  });

  it("an expired certificate is served, with a warning", async () => {
    const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], {
      keyType: "ec",
      algorithm: "sha256",
      notBeforeDate: new Date("2020-01-01"),
      notAfterDate: new Date("2021-01-01"),
    });
    const { wire, log } = await begin("https", { tls: { key, cert } });
    expect(log).toEqual([
      {
        level: "warn",
        message: expect.stringContaining("expired"),
        fields: { validTo: expect.stringContaining("2021") },
      },
    ]);
    await (await wire()).get("/").heard("200 OK");
  });
});

describe.each([false, true])("what else Node's createServer takes (http2: %s)", (http2) => {
  const status = (port: number, options: https.RequestOptions) =>
    new Promise<string>((resolve) => {
      https
        .get({ port, host: "127.0.0.1", agent: false, rejectUnauthorized: false, ...options }, (res) => {
          resolve(`${res.statusCode} ${(res.socket as TLSSocket).getProtocol()}`);
          res.resume();
        })
        .on("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    });

  it("an encrypted key with its passphrase, and the oldest version", async () => {
    const { key, cert } = await certificate();
    const encrypted = createPrivateKey(key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "s3cret",
    });
    const { port } = await begin("https", {
      http2,
      tls: { key: encrypted, cert, passphrase: "s3cret", minVersion: "TLSv1.3" },
    });
    expect(await status(port, {})).toBe("200 TLSv1.3");
    expect(await status(port, { maxVersion: "TLSv1.2" })).toMatch(/^(ERR_SSL|EPROTO)/);
  });

  it("client certificates: without one no client can connect", async () => {
    const pair = await certificate();
    const { port } = await begin("https", { http2, tls: { ...pair, ca: pair.cert, requestCert: true } });
    expect(await status(port, pair)).toMatch(/^200/);
    expect(await status(port, {})).not.toMatch(/^200/);
  });

  it("a PKCS #12 file with its passphrase", async () => {
    const { key, cert } = await certificate();
    const folder = mkdtempSync(join(tmpdir(), "express-portico-"));
    writeFileSync(join(folder, "key.pem"), key);
    writeFileSync(join(folder, "cert.pem"), cert);
    const args = ["-inkey", "key.pem", "-in", "cert.pem", "-passout", "pass:s3cret"];
    const pfx = execFileSync("openssl", ["pkcs12", "-export", ...args], { cwd: folder });
    rmSync(folder, { recursive: true });
    const { port, log } = await begin("https", { http2, tls: { pfx, passphrase: "s3cret" } });
    expect(await status(port, {})).toMatch(/^200/);
    expect(log).toEqual([]); // about its expiry
    const { message } = await refusal({ port: 0, tls: { pfx, passphrase: "wrong" } });
    expect(message).toMatch(/tls: is refused: the passphrase is not/);
  });

  it("SNICallback alone: a certificate for each name", async () => {
    const pair = await certificate();
    const names: string[] = [];
    const { port } = await begin("https", {
      http2,
      tls: {
        SNICallback(name, callback) {
          names.push(name);
          callback(null, createSecureContext(pair));
        },
      },
    });
    expect(await status(port, { servername: "shop.example" })).toMatch(/^200/);
    expect(names).toEqual(["shop.example"]);
  });
});
