import { setTimeout as sleep } from "node:timers/promises";
import {
  type AppSource,
  type Case,
  type Credentials,
  contract,
  type Expectations,
} from "../../../tools/contract/index.js";
import { listen } from "../../support/server.js";
import { oneIn } from "../../support/soak.js";
import { demoExpectations, demoParts, failuresOf, inProduction, mount } from "./demo-parts.js";

inProduction();

const bearers = (token: string) => ({ Authorization: `Bearer ${token}` });

/** The demo's, with every user's headers made by `of`. */
function expectationsWith(lines: string[], of: (token: string) => Credentials): Expectations {
  const given = demoExpectations(lines);
  return {
    ...given,
    routes: {
      ...given.routes,
      protected: { path: "/admin", as: of("demo-owner") },
      upload: { path: "/upload", bytes: 8_000_000, status: 500, headers: of("demo-owner") },
      personal: { path: "/me", as: [of("ann-token"), of("bob-token")] },
    },
  };
}

it("an app that a promise gives, with tokens that functions make, keeps the contract", async () => {
  const lines: string[] = [];
  const urls = new Set<string>();
  const app = sleep(5).then(() => mount(demoParts(lines)));
  const cases = contract(
    app,
    expectationsWith(lines, (token) => async (url) => {
      urls.add(new URL(url).hostname);
      await sleep(1);
      return bearers(token);
    }),
  );
  expect(cases.map(({ name }) => name)).toEqual(
    contract(mount(demoParts([])), demoExpectations([])).map(({ name }) => name),
  );
  const isAsked = ({ name }: Case) => /\/admin|\/me|\/upload/.test(name); // with a token
  const few = new Set([...oneIn(4, cases), ...oneIn(2, cases.filter(isAsked))]);
  expect(await failuresOf([...few])).toEqual({});
  expect([...urls]).toEqual(["127.0.0.1"]);
});

it("an app that a function makes is made once, when the first case runs", async () => {
  const lines: string[] = [];
  let made = 0;
  const cases = contract(
    async () => {
      made++;
      await sleep(1);
      return mount(demoParts(lines));
    },
    expectationsWith(lines, (token) => Promise.resolve(bearers(token))),
  );
  expect(made).toBe(0);
  expect(await failuresOf(oneIn(6, cases))).toEqual({});
  expect(made).toBe(1);
});

it("a function may give the URL of one that listens", async () => {
  const { url, close } = await listen(mount(demoParts([])));
  expect(await failuresOf(contract(async () => url, { routes: { ok: "/hello" } }))).toEqual({});
  await close();
});

it("a token that is not there is found in the cases that need it, and nothing of it is shown", async () => {
  const app = mount(demoParts([]));
  const as = async () => ({ Authorization: "s3cret\r\n" });
  const failures = await failuresOf(
    contract(app, { routes: { ok: "/hello", protected: { path: "/admin", as } } }),
  );
  expect(Object.keys(failures).length).toBeGreaterThan(0);
  for (const message of Object.values(failures)) {
    expect(message).toMatch(/routes\.protected\.as.*must give an object of header names/);
    expect(message).not.toContain("s3cret");
  }
});

it.each<[string, AppSource]>([
  ["a promise that rejects", sleep(1).then(() => Promise.reject(new Error("no database")))],
  [
    "a function that rejects",
    async () => {
      throw new Error("no database");
    },
  ],
  [
    "a function that throws",
    () => {
      throw new Error("no database");
    },
  ],
])("%s fails each case, in words, and ends no process", async (_what, app) => {
  await sleep(1); // an unhandled rejection would have come by now
  const cases = contract(app, { routes: { ok: "/hello" } });
  const failures = await failuresOf(cases);
  expect(Object.keys(failures)).toEqual(cases.map(({ name }) => name));
  expect(new Set(Object.values(failures))).toEqual(
    new Set(["contract(): the app could not be made: no database"]),
  );
});

it("what a function gives must be an app", async () => {
  const failures = await failuresOf(contract(async () => 5 as never));
  expect(Object.values(failures)[0]).toMatch(/must be an Express app, or the URL/);
});
