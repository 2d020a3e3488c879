import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { blocks, root } from "../support/markdown.js";

it("docs/integrations.md shows the files of docs/integrations as they are", () => {
  const folder = join(root, "docs/integrations");
  const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8").trim());
  const shown = blocks("docs/integrations.md").filter(({ info }) => info.endsWith(" file"));
  expect(shown.map(({ code }) => code.trim()).sort()).toEqual(files.sort());
});
