import { generateKeyPairSync } from "node:crypto";
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
      [/tls: is refused: the key is encrypted; decrypt it first/],
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
      ({ key, cert }) => ({ key, cert, passphrase: "s3cret" }),
      [/tls.passphrase: unknown option. The options are key, cert./],
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
