import type { TlsOptions } from "express-portico";
import { generate } from "selfsigned"; // the demo is not about X.509

/** A self-signed certificate for localhost. All processes of the demo use the same one. */
export async function selfMadeCertificate(): Promise<TlsOptions> {
  const { DEMO_KEY, DEMO_CERT } = process.env;
  if (DEMO_KEY !== undefined && DEMO_CERT !== undefined) return { key: DEMO_KEY, cert: DEMO_CERT };
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  Object.assign(process.env, { DEMO_KEY: key, DEMO_CERT: cert }); // for the worker processes
  return { key, cert };
}
