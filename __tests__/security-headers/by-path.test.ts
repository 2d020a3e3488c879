import "../../src/index.js"; // loaded here, for what a test loads counts for its time
import type { Express } from "express";
import request from "supertest";
import { blocks } from "../support/markdown.js";
import { runSnippet } from "../support/snippet.js";
import { headersWith, onlyOurs } from "./support.js";

const examples = blocks("docs/security-headers.md").filter(({ code }) => code.includes('"/api"'));

it("there are two examples of a policy by path", () => {
  expect(examples).toHaveLength(2);
});

describe.each(examples.map(({ place, code }) => [place, code]))("the example %s", (_place, code) => {
  it("sends the API's headers on the API, and the pages' headers on pages and the 404", async () => {
    const app = (await runSnippet(code)) as Express;
    const api = await request(app).get("/api/orders").expect(200);
    expect(onlyOurs(api.headers)).toEqual(onlyOurs(await headersWith({ preset: "api" })));
    expect(api.headers["cache-control"]).toBe("no-store");

    const page = await request(app).get("/").expect(200);
    const preset = code.includes('"helmet"') ? "helmet" : "page";
    const plain = (headers: Record<string, string>) =>
      JSON.parse(JSON.stringify(onlyOurs(headers)).replace(/nonce-[^']+/g, "nonce-*"));
    expect(plain(page.headers)).toEqual(plain(await headersWith({ preset })));

    const missing = await request(app).get("/nothing").expect(404);
    expect(missing.headers["x-frame-options"]).toBe(page.headers["x-frame-options"]);
  });
});
