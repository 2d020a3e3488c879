/**
 * Public suffixes (publicsuffix.org) under which people have apps: of hosting companies, and of countries with a second
 * level. The whole list is longer than this package.
 */
const HOSTING =
  "github.io gitlab.io pages.dev workers.dev vercel.app now.sh netlify.app herokuapp.com onrender.com fly.dev " +
  "web.app firebaseapp.com appspot.com run.app azurewebsites.net azurestaticapps.net cloudapp.net blob.core.windows.net " +
  "cloudfront.net elasticbeanstalk.com amplifyapp.com s3.amazonaws.com awsapprunner.com surge.sh glitch.me repl.co " +
  "replit.app replit.dev railway.app up.railway.app deno.dev ngrok.io ngrok.app ngrok-free.app loca.lt trycloudflare.com " +
  "stackblitz.io webcontainer.io csb.app gitpod.io github.dev githubpreview.dev blogspot.com wordpress.com tumblr.com " +
  "myshopify.com wixsite.com weebly.com webflow.io framer.app notion.site readthedocs.io translate.goog hf.space " +
  "streamlit.app lovable.app bolt.host edgeone.app ondigitalocean.app digitaloceanspaces.com linodeobjects.com " +
  "scw.cloud dyndns.org duckdns.org ddns.net no-ip.org sytes.net nip.io sslip.io";

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
  names.split(" ").map((name) => `${name}.${country}`),
);
const TOP = ["com", "net", "org", "io", "dev", "app"];

export const PUBLIC_SUFFIXES: readonly string[] = [...HOSTING.split(" "), ...COUNTRY_NAMES, ...TOP];
