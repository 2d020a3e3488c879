import compression from "compression";
import express, { type RequestHandler, type Response } from "express";
import { compress } from "../../src/compress/index.js";
import { closeServers, listen } from "../support/server.js";
import { type Ask, ask, text } from "./support.js";

afterEach(closeServers);

const TEXT = text(5_000);

/** What both must do in the same way: bodies, encodings and headers, except framing. */
const ANSWERS: Record<string, (res: Response) => void> = {
  "a page": (res) => void res.send(TEXT),
  "a large page": (res) => void res.send(text(300_000)),
  "a short page": (res) => void res.send("short"),
  JSON: (res) => void res.json({ text: TEXT }),
  "an image": (res) => void res.type("png").send(Buffer.from(TEXT)),
  svg: (res) => void res.type("svg").send(TEXT),
  "parts, with a length": (res) => {
    res.type("text").set("Content-Length", "5000");
    res.write(TEXT.slice(0, 100));
    res.end(TEXT.slice(100));
  },
  "parts, without": (res) => {
    res.type("text").write(TEXT);
    setImmediate(() => res.end(TEXT));
  },
  "no-transform": (res) => void res.set("Cache-Control", "no-transform").send(TEXT),

  "a Vary of its own": (res) => void res.set("Vary", "Cookie").send(TEXT),
  "an error": (res) => void res.status(500).send(TEXT),
  redirect: (res) => void res.redirect("/elsewhere"),
  nothing: (res) => void res.status(204).end(),
  "a type that is none": (res) => void res.set("Content-Type", "nonsense").end(TEXT),
};

const ASKS: Record<string, Ask> = {
  gzip: { accept: "gzip" },
  "gzip, deflate, br": { accept: "gzip, deflate, br" },
  deflate: { accept: "deflate" },
  "br;q=0.5, gzip;q=0.2": { accept: "br;q=0.5, gzip;q=0.2" },
  "gzip;q=0": { accept: "gzip;q=0" },
  identity: { accept: "identity" },
  nothing: {},
  "*": { accept: "*" },
};

const cases = Object.keys(ANSWERS).flatMap((answer) =>
  Object.keys(ASKS).map((asked) => [answer, asked] as const),
);

it.each(cases)("%s, for %s: the same as of compression", async (answer, asked) => {
  const appOf = async (middleware: RequestHandler) => {
    const app = express();
    app.use(middleware);
    app.get("/", (_req, res) => ANSWERS[answer]!(res));
    return listen(app);
  };
  const encodings = ["br", "gzip", "deflate"] as const;
  const ours = await ask(await appOf(compress({ encodings })), ASKS[asked]);
  const theirs = await ask(await appOf(compression()), ASKS[asked]);
  const essence = ({ status, headers, encoding, body }: typeof ours) => {
    const { date, connection, "transfer-encoding": _te, "content-length": _length, etag, ...rest } = headers;
    return { status, encoding, body, rest };
  };

  expect(essence(ours)).toEqual(essence(theirs));
});
