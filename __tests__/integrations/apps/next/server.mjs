import { readFileSync } from "node:fs";
import { start } from "../../../../docs/integrations/nextjs.mjs";

const tls = process.env.TLS_KEY && {
  tls: { key: readFileSync(process.env.TLS_KEY), cert: readFileSync(process.env.TLS_CERT) },
  http2: true,
};
const served = await start(
  { dev: process.env.NODE_ENV === "development", dir: process.env.NEXT_DIR, webpack: true },
  { allowedHosts: ["127.0.0.1", "localhost"], csrf: {}, compress: {}, timeout: 10_000, bodyLimit: "1mb" },
  { port: 0, host: "127.0.0.1", ...tls },
);
console.log(JSON.stringify({ url: served.url }));
