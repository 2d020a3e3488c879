import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_PAGES } from "../.vitepress/pages.js";

/** The pages about work on the repository are files at its root. */
export default {
  paths: () =>
    Object.entries(PROJECT_PAGES).map(([page, file]) => ({
      params: { page },
      content: readFileSync(join(import.meta.dirname, "../..", file), "utf8"),
    })),
};
