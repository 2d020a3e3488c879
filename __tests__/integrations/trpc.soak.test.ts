import {
  createTRPCClient,
  httpBatchLink,
  httpBatchStreamLink,
  httpLink,
  httpSubscriptionLink,
  splitLink,
  TRPCClientError,
} from "@trpc/client";
import { EventSource } from "eventsource";
import { until } from "../support/server.js";
import type { Router } from "./apps/trpc.js";
import { ask, buildApp, endPrograms, hold, type Program, removePrograms, startProgram } from "./support.js";

let program: Program;
let never: Promise<unknown>;

const clientOf = (link: (options: { url: string }) => never) =>
  createTRPCClient<Router>({ links: [link({ url: `${program.url}/trpc` })] });
const single = () => clientOf(httpLink as never);
const batch = () => clientOf(httpBatchLink as never);

beforeAll(async () => {
  program = await startProgram(buildApp("trpc"));
  never = hold(single().never.query());
});
afterAll(async () => {
  await endPrograms();
  removePrograms();
});

it("a query and a mutation are answered, and know our context", async () => {
  expect(await single().greet.query("Ann")).toBe("Hello Ann, string");
  expect(await single().add.mutate(1)).toBe(2);
  expect(await program.record("/trpc/greet")).toMatchObject({ status: 200, method: "GET" });
  expect(await program.record("/trpc/add")).toMatchObject({ status: 200, method: "POST" });
});

it("the headers of a compressed answer are there once", async () => {
  const reply = await ask(`${program.url}/trpc/long`, { headers: { Origin: "https://app.example" } });
  expect(JSON.parse(reply.text).result.data).toHaveLength(6_500);
  expect(reply.headers.get("content-encoding")).toBe("gzip");
  expect(reply.headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect(reply.headers.get("vary")!.split(", ").sort()).toEqual(
    [...new Set(reply.headers.get("vary")!.split(", "))].sort(),
  );
});

it("a batch is one request and one record, with 207 if its parts differ; a batch as a stream too", async () => {
  const client = batch();
  const results = await Promise.allSettled([client.greet.query("Bob"), client.missing.query()]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(await program.record("/trpc/greet,missing")).toMatchObject({ status: 207 });
  const streamed = clientOf(httpBatchStreamLink as never);
  expect(await Promise.all([streamed.greet.query("Cy"), streamed.long.query()])).toEqual([
    "Hello Cy, string",
    expect.any(String),
  ]);
  expect(await program.record("/trpc/greet,long")).toMatchObject({ status: 200 });
});

it("errors are answered by tRPC, once: 404 and 500; the log of a 500 is one record of ours and one of onError", async () => {
  const failure = (promise: Promise<unknown>) =>
    promise.catch((error: TRPCClientError<Router>) => error.data);
  expect(await failure(single().missing.query())).toMatchObject({ code: "NOT_FOUND", httpStatus: 404 });
  expect(await failure(single().broken.query())).toMatchObject({ httpStatus: 500 });
  const record = await program.record("/trpc/broken");
  expect(record.status).toBe(500);
  const failed = program.lines.filter(({ procedure }) => procedure === "broken");
  expect(failed).toMatchObject([{ error: "Error: the database is gone", requestId: record.requestId }]);
});

it("a forged mutation, and a body that is too long, are refused before tRPC", async () => {
  const post = (body: string, headers: Record<string, string>) =>
    ask(`${program.url}/trpc/add`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body,
    });
  expect((await post("1", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" })).status).toBe(
    403,
  );
  expect((await post(`1${" ".repeat(20_000)}`, {})).status).toBe(413);
});

it("a procedure that is too slow gets the 503 of timeout", async () => {
  await expect(never).rejects.toThrow(TRPCClientError);
  expect(await program.record("/trpc/never")).toMatchObject({ status: 503, timedOut: true });
});

it("SIGTERM: a query under way is answered, and a subscription has had each event, also after the timeout", async () => {
  const ticks: number[] = [];
  let ended = false;
  const client = createTRPCClient<Router>({
    links: [
      splitLink({
        condition: ({ type }) => type === "subscription",
        true: httpSubscriptionLink({ url: `${program.url}/trpc`, EventSource: EventSource as never }),
        false: httpLink({ url: `${program.url}/trpc` }),
      }),
    ],
  });
  const subscription = client.ticks.subscribe(undefined, {
    onData: ({ data }) => ticks.push(data),
    onConnectionStateChange: ({ state }) => {
      if (state === "connecting" && ticks.length > 0) ended = true;
    },
  });
  await until(() => ticks.length === 1);
  expect(ticks).toEqual([1]); // one by one
  await until(() => ticks.length === 6);
  const last = hold(client.last.query());
  await until(() => program.lines.some(({ waiting }) => waiting === "last"));
  expect(await program.end()).toEqual({ code: 0, signal: null });
  expect(await last).toBe("the last one");
  subscription.unsubscribe();
  expect(program.lines.find(({ message }) => message === "closed")).toMatchObject({ forced: false });
  expect(await program.record("/trpc/ticks")).toMatchObject({ status: 200 });
  expect(ended).toBe(true);
});
