import express, { type Express } from "express";
import { notFound, recover, requestContext, securityHeaders } from "express-portico";
import { otherPage } from "./pages/other.js";

/** Another origin: one page with a script that calls the demo across origins. */
export function otherApp({ apiOrigin }: { readonly apiOrigin: string }): Express {
  const app = express();
  app.use(requestContext());
  app.use(securityHeaders());
  app.get(
    "/",
    securityHeaders({
      contentSecurityPolicy: {
        nonce: true,
        directives: {
          defaultSrc: ["'self'"],
          connectSrc: [apiOrigin],
          formAction: [apiOrigin],
          baseUri: ["'self'"],
          frameAncestors: ["'none'"],
        },
      },
    }),
    (_req, res) => {
      res.type("html").send(otherPage({ apiOrigin, nonce: res.locals.cspNonce as string }));
    },
  );
  app.use(notFound());
  app.use(recover());
  return app;
}
