// The files of the page, which the build makes. This is CommonJS because only there a module knows its own folder in all the
// formats that the package has.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");

const TYPES = {
  "index.html": "text/html",
  "app.js": "text/javascript",
  "app.css": "text/css",
  "icon.svg": "image/svg+xml",
};

/** @returns {Map<string, { type: string, text: string }>} by name */
exports.readAssets = function readAssets() {
  let fault;
  for (const folderOf of FOLDERS) {
    try {
      const folder = folderOf();
      const read = ([name, type]) => [
        name,
        { type: `${type}; charset=utf-8`, text: readFileSync(join(folder, name), "utf8") },
      ];
      return new Map(Object.entries(TYPES).map(read));
    } catch (error) {
      fault ??= error;
    }
  }
  throw new Error(
    "inspect(): the files of its page are missing. If your code is bundled, leave express-portico out of the bundle, or install it where the bundle runs.",
    { cause: fault },
  );
};

const FOLDERS = [
  () => join(__dirname, "../../inspector-page"), // in dist/cjs/inspector and dist/esm/inspector
  () => join(__dirname, "../../dist/inspector-page"), // in tools/inspector
  // In a bundle, whose folder is another one: the package that is installed there.
  () => join(dirname(resolve("express-portico/package.json")), "dist/inspector-page"),
];

function resolve(name) {
  return createRequire(join(process.cwd(), "index.js")).resolve(name);
}
