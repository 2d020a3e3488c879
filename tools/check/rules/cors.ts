import { words } from "../../../src/lib/values/words.js";
import {
  belongsAbove,
  type Finding,
  finding,
  isAlwaysAfter,
  isConcern,
  labelOf,
  mayCover,
  type Step,
} from "../pipeline.js";
import { mayServe } from "./before-and-after.js";

/** Preflights have no credentials, and pages can only read answers with CORS headers. */
export function corsPlace(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    if (!isConcern(step, "cors") || step.route !== undefined) continue;
    if (steps.some((other) => other.order < step.order && isCorsFor(other, step))) continue;
    const before = steps.filter((other) => isAlwaysAfter(step, other));
    const auth = before.find((other) => isConcern(other, "auth") && !other.node.details?.passesPreflights);
    const parser = before.find(
      (other) => isConcern(other, "bodyParser") && !readsOnlyForOthers(other, step, steps),
    );
    if (auth !== undefined) {
      const happens = auth.node.details?.passesAnnounced
        ? "its refusals have no CORS headers, and pages of other origins cannot read them"
        : "browsers' preflights never reach it";
      const why =
        "A preflight has no credentials: the auth check refuses it, and the browser never sends the request itself. A page also cannot read a refusal without CORS headers.";
      findings.push(belongsAbove("cors-after-auth", "fault", step, auth, { happens, why }));
    }
    if (parser !== undefined) {
      const happens =
        "what the parser refuses has no CORS headers, and pages of other origins cannot read why";
      const why =
        "A body that does not parse, or is too large, is answered before the CORS headers are set: the page sees a failed fetch instead of the 400 or 413.";
      findings.push(belongsAbove("cors-after-body-parser", "fault", step, parser, { happens, why }));
    }
  }
  return findings;
}

/** A GET has no body: the parser refuses no request of a router that has only GETs. */
function readsOnlyForOthers(parser: Step, cors: Step, steps: readonly Step[]): boolean {
  const isApart = cors.node.path !== parser.node.path || cors.ancestors.at(-1) !== parser.ancestors.at(-1);
  const served = steps.filter((other) => mayServe(other) && isAlwaysAfter(other, cors));
  return (
    isApart &&
    served.length > 0 &&
    served.every(({ node }) => node.methods?.every((method) => /^(?:GET|HEAD|OPTIONS)$/.test(method)))
  );
}

/** A route for PUT or DELETE never gets the OPTIONS request of the preflight. */
export function corsWithoutOptions(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  const all = steps.filter((step) => isConcern(step, "cors"));
  for (const step of all) {
    const { route } = step;
    if (route === undefined || findings.some(({ at }) => at.startsWith(`${step.node.index} `))) continue;
    const methods = step.node.methods ?? route.methods ?? [];
    const asked = methods.find((method) => !/^(?:GET|HEAD|POST|OPTIONS|ALL)$/.test(method));
    if (asked === undefined || all.some((other) => answersPreflights(other, route.path))) continue;
    findings.push(
      finding("cors-without-options", "fault", step, {
        what: `${labelOf(step.node)} is on ${labelOf(route)}, and no route takes the OPTIONS of ${route.path}`,
        happens: "the browser asks before it sends the request, gets no CORS headers, and never sends it",
        fix: `add app.options(${JSON.stringify(route.path)}, …) with the same handler, or put it on the path with app.use`,
        why: `A preflight is an OPTIONS request: a route for ${asked} does not get it, and Express answers it itself, with only Allow.`,
      }),
    );
  }
  return findings;
}

function answersPreflights({ node, route }: Step, path: string): boolean {
  if (route === undefined) return mayCover(node.path, path);
  const methods = node.methods ?? route.methods ?? [];
  return mayCover(route.path, path) && (methods.includes("OPTIONS") || methods.includes("ALL"));
}

/** Whether another `cors` has already answered the preflights for this path. */
function isCorsFor(other: Step, step: Step): boolean {
  if (!isConcern(other, "cors") || !mayCover((other.route ?? other.node).path, step.node.path)) return false;
  const methods = other.route?.methods;
  return methods === undefined || methods.includes("OPTIONS") || methods.includes("ALL");
}

/** Credentials for origins that anyone can get. */
export function corsOrigins(steps: readonly Step[]): Finding[] {
  const findings: Finding[] = [];
  for (const step of steps) {
    const { details } = step.node;
    if (!isConcern(step, "cors") || details?.credentials !== true) continue;
    const cors = labelOf(step.node);
    const allows = details.allows as ((origin: string) => boolean) | undefined;
    if (details.reflects === true || (allows !== undefined && isAllowed(allows, "stranger-zq9.example"))) {
      findings.push(
        finding("cors-reflects-credentials", "fault", step, {
          what: `${cors} allows every origin, with credentials`,
          happens: "any site can read what its visitors may see here",
          fix: "list the origins",
          why: "The browser sends the visitor's cookies along, and the reflected origin lets the other site's page read the answer. Browsers forbid this for *; reflecting the origin gets around it.",
        }),
      );
      continue;
    }
    const suffix = allows && PUBLIC_SUFFIXES.find((one) => isAllowed(allows, `stranger-zq9.${one}`));
    if (suffix !== undefined) {
      findings.push(
        finding("cors-public-suffix", "fault", step, {
          what: `${cors} allows every site under ${suffix}, with credentials`,
          happens: `anyone can register a name under ${suffix}, and read what its visitors may see here`,
          fix: "name the sites that are yours",
          why: `${suffix} is a public suffix (publicsuffix.org): the names below it belong to different people.`,
        }),
      );
    }
  }
  return findings;
}

function isAllowed(allows: (origin: string) => boolean, host: string): boolean {
  try {
    return allows(`https://${host}`);
  } catch {
    return false;
  }
}

/**
 * Public suffixes (publicsuffix.org) under which people have apps: of hosting companies, and of countries with a second
 * level. The whole list is longer than this package.
 */
const HOSTING = words(
  "github.io gitlab.io pages.dev workers.dev vercel.app now.sh netlify.app herokuapp.com onrender.com",
  "fly.dev web.app firebaseapp.com appspot.com run.app azurewebsites.net azurestaticapps.net",
  "cloudapp.net blob.core.windows.net cloudfront.net elasticbeanstalk.com amplifyapp.com",
  "s3.amazonaws.com awsapprunner.com surge.sh glitch.me repl.co replit.app replit.dev railway.app",
  "up.railway.app deno.dev ngrok.io ngrok.app ngrok-free.app loca.lt trycloudflare.com stackblitz.io",
  "webcontainer.io csb.app gitpod.io github.dev githubpreview.dev blogspot.com wordpress.com tumblr.com",
  "myshopify.com wixsite.com weebly.com webflow.io framer.app notion.site readthedocs.io translate.goog",
  "hf.space streamlit.app lovable.app bolt.host edgeone.app ondigitalocean.app digitaloceanspaces.com",
  "linodeobjects.com scw.cloud dyndns.org duckdns.org ddns.net no-ip.org sytes.net nip.io sslip.io",
);

const COUNTRIES: Readonly<Record<string, string>> = {
  uk: "co org me ltd plc net sch ac gov nhs",
  au: "com net org edu gov id asn",
  nz: "co net org ac govt geek school",
  jp: "co ne or ac go ad ed gr lg",
  kr: "co ne or ac go re pe",
  br: "com net org gov edu art blog",
  in: "co firm net org gen ind ac edu gov",
  za: "co net org web ac gov",
  il: "co org net ac gov",
  tr: "com net org edu gov web gen",
  cn: "com net org edu gov ac",
  tw: "com net org edu gov idv",
  hk: "com net org edu gov idv",
  sg: "com net org edu gov per",
  my: "com net org edu gov name",
  th: "co in or ac go net mi",
  id: "co web or ac go my sch biz",
  mx: "com net org edu gob",
  ar: "com net org edu gob int",
  co: "com net org edu gov nom",
  pl: "com net org edu gov",
  at: "co or ac gv",
  hu: "co org",
  ua: "com net org edu gov in",
  ke: "co or ne ac go",
  ng: "com net org edu gov",
  ph: "com net org edu gov",
  pk: "com net org edu gov",
  vn: "com net org edu gov",
  eg: "com net org edu gov",
  sa: "com net org edu gov",
  pe: "com net org edu gob",
  ve: "com net org co gob",
  uy: "com net org edu gub",
};

const COUNTRY_NAMES = Object.entries(COUNTRIES).flatMap(([country, names]) =>
  words(names).map((name) => `${name}.${country}`),
);
const TOP = ["com", "net", "org", "io", "dev", "app"];

export const PUBLIC_SUFFIXES: readonly string[] = [...HOSTING, ...COUNTRY_NAMES, ...TOP];
