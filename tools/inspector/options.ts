import { refuseRequest } from "../../src/lib/config/not-called.js";
import {
  boolean,
  checked,
  integer,
  readOptions,
  type SchemaOf,
  string,
} from "../../src/lib/config/schema.js";
import { isApp } from "../../src/lib/express/app.js";
import { inProduction } from "../../src/lib/values/environment.js";

export interface InspectOptions {
  /** The port of the page; 0 takes a free one. @defaultValue `0` */
  readonly port?: number | undefined;
  /** The address that the page listens on. @defaultValue `"127.0.0.1"` */
  readonly host?: string | undefined;
  /** How many requests are kept, the newest ones. @defaultValue `200` */
  readonly keep?: number | undefined;
  /** Whether it may run in production. @defaultValue `false` */
  readonly production?: boolean | undefined;
}

export const OPTIONS = () =>
  ({
    port: integer({ min: 0, max: 65_535 }, 0),
    host: checked(string("127.0.0.1"), (host) =>
      host.trim() === "" ? "must be an address or a name" : undefined,
    ),
    keep: integer({ min: 1, max: 10_000, unit: "requests" }, 200),
    production: boolean(false),
  }) satisfies SchemaOf<InspectOptions>;

/** @param isInspected whether an inspector is open for the app */
export function checkOptions(app: unknown, options: InspectOptions | undefined, isInspected: boolean) {
  refuseRequest("inspect()", app);
  const { checker, plan } = readOptions("inspect()", OPTIONS, options);
  if (!isApp(app)) checker.add("app", "must be an Express app: inspect(app)", app);
  else if (isInspected) checker.add("app", "is inspected already: close that inspector first", "app");
  if (inProduction() && !plan.production) {
    const reason =
      "must be true to run in production (NODE_ENV), where the page shows the requests of your users to all who have its URL";
    checker.add("production", reason, plan.production);
  }
  return checker.done(plan);
}
