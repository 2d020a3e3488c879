import express from "express";
import fc from "fast-check";
import request from "supertest";
import { contextOf, requestContext } from "../../src/context/index.js";
import { newTrace, parseTraceparent } from "../../src/lib/request/trace.js";
import { closeServers, listen } from "../support/server.js";

afterEach(closeServers);

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID = "00f067aa0ba902b7";

it.each(["00", "cc"])("two traceparents, which Node joins, are ignored: version %s", (version) => {
  const [one, two] = [`${version}-${TRACE_ID}-${SPAN_ID}-01`, `00-${"a".repeat(32)}-${"b".repeat(16)}-01`];
  expect(parseTraceparent(`${one}, ${two}`)).toBeUndefined();
  expect(parseTraceparent(`${one}-more, ${two}`)).toBeUndefined();
});

describe("the traceparent for other services", () => {
  it.each([
    ["as it came", `00-${TRACE_ID}-${SPAN_ID}-01`, "01"],
    ["not sampled", `00-${TRACE_ID}-${SPAN_ID}-00`, "00"],
    ["with the flag of a random id", `00-${TRACE_ID}-${SPAN_ID}-03`, "03"],
    ["without flags that have no meaning yet", `00-${TRACE_ID}-${SPAN_ID}-fd`, "01"],
    ["in the version that is known", `cc-${TRACE_ID}-${SPAN_ID}-01-more`, "01"],
  ])("is %s", (_how, received, flags) => {
    expect(String(parseTraceparent(received))).toBe(`00-${TRACE_ID}-${SPAN_ID}-${flags}`);
  });

  it("of a new trace has the flag for a random id, and is not sampled", () => {
    const trace = newTrace();
    expect(trace.sampled).toBe(false);
    expect(`${trace}`).toBe(`00-${trace.traceId}-${trace.spanId}-02`);
    expect({ ...parseTraceparent(`${trace}`) }).toEqual({ ...trace });
  });

  it("has the ids of the one that was received; in version 00 only unknown flags differ", () => {
    const hex = (digits: number) =>
      fc
        .array(fc.constantFrom(..."0123456789abcdef"), { minLength: digits, maxLength: digits })
        .map((list) => list.join(""));
    const headers = fc.oneof(
      fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((fields) => fields.join("-")),
      fc.tuple(hex(32), hex(16), hex(2)).map((fields) => `00-${fields.join("-")}`),
      fc.string(),
    );
    fc.assert(
      fc.property(headers, (header) => {
        const trace = parseTraceparent(header);
        if (trace === undefined) return;
        const sent = String(trace);
        expect({ ...parseTraceparent(sent) }).toEqual({ ...trace });
        expect(sent.slice(2, -2)).toBe(header.slice(2, 53));
        expect(Number.parseInt(sent.slice(-2), 16)).toBe(Number.parseInt(header.slice(53, 55), 16) & 3);
      }),
    );
  });
});

it("has no other properties", async () => {
  const app = express();
  app.use(requestContext(), (req, res) => void res.json(contextOf(req).trace));
  await request(app)
    .get("/")
    .set("traceparent", `00-${TRACE_ID}-${SPAN_ID}-01`)
    .expect({ traceId: TRACE_ID, spanId: SPAN_ID, sampled: true });
});

it("goes from one service to the next", async () => {
  const inner = express();
  inner.use(requestContext(), (req, res) => void res.send(String(contextOf(req).trace)));
  const { url } = await listen(inner);
  const outer = express();
  outer.use(requestContext(), async (req, res) => {
    const answer = await fetch(url, { headers: { traceparent: String(contextOf(req).trace) } });
    res.json([String(contextOf(req).trace), await answer.text()]);
  });
  const sent = `00-${TRACE_ID}-${SPAN_ID}-01`;
  await request(outer).get("/").set("traceparent", sent).expect([sent, sent]);
  const [own, next] = (await request(outer).get("/")).body as [string, string];
  expect(next).toBe(own);
  expect(own).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/);
});
