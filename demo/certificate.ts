import type { TlsOptions } from "express-portico";
import { generate } from "selfsigned"; // X.509 is not this demo's subject

/** A certificate for localhost that the demo makes itself; all its processes have the same one. */
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
  Object.assign(process.env, { DEMO_KEY: key, DEMO_CERT: cert }); // for the workers
  return { key, cert };
}
