import { peek } from "../../src/lib/values/thrown.js";
import { parametersOf } from "./parameters.js";

/** Functions that make a handler. Each is recognized by its name and a part of its source: other functions have these names too. */
const FACTORIES: readonly { readonly package: string; readonly call: string; name: RegExp; text: RegExp }[] =
  [
    {
      package: "express-portico",
      call: "",
      name: /^(?:cors|requestLog|recover|securityHeaders|cspReports|authenticate|authorize|requireScopes|requestContext|timeout|compress|cache|notFound)$/,
      text: /describeHandler/,
    },
    { package: "express-portico", call: "portico", name: /^portico$/, text: /["']context["']/ },
    { package: "cors", call: "cors", name: /^middlewareWrapper$/, text: /corsMiddleware/ },
    { package: "helmet", call: "helmet", name: /^helmet$/, text: /helmetMiddleware/ },
    { package: "morgan", call: "morgan", name: /^morgan$/, text: /getFormatFunction|\bimmediate\b/ },
    { package: "compression", call: "compression", name: /^compression$/, text: /threshold/ },
    { package: "pino-http", call: "pinoHttp", name: /^pinoLogger$/, text: /customAttributeKeys/ },
    { package: "express-session", call: "session", name: /^session$/, text: /MemoryStore/ },
    { package: "cookie-session", call: "cookieSession", name: /^cookieSession$/, text: /\.keys required/ },
    { package: "cookie-parser", call: "cookieParser", name: /^cookieParser$/, text: /signedCookies/ },
    { package: "express-rate-limit", call: "rateLimit", name: /^[rR]ateLimit$/, text: /config|windowMs/ },
    { package: "express-jwt", call: "expressjwt", name: /./, text: /express-jwt: `secret` is a required/ },
    { package: "multer", call: "multer", name: /^multer$/, text: /new Multer\(/ },
    { package: "connect-timeout", call: "timeout", name: /^timeout$/, text: /onTimeout|delay/ },
    {
      package: "body-parser",
      call: "",
      name: /^(?:json|urlencoded|raw|text)$/,
      text: /function (?:json|urlencoded|raw|text)Parser/,
    },
  ];

/**
 * Recognizes a factory that was mounted in place of the handler that it makes: `app.use(cors)`. Its parameters are options,
 * not a request.
 */
export function uncalledFactory(
  handler: unknown,
  name: string,
  source: string,
): { package: string; call: string } | undefined {
  if (source === "" || Number(peek(handler, "length")) > 2) return undefined;
  const known = FACTORIES.find((one) => one.name.test(name) && one.text.test(source));
  if (known === undefined) return undefined;
  const [first = ""] = parametersOf(handler) ?? [];
  if (/^_*(?:req|request|err|error)$/i.test(first)) return undefined; // a handler of that name
  return { package: known.package, call: known.call || name };
}
