// The files of the page, which the build makes. This is CommonJS because only there a module knows its own folder in all the
// formats that the package has.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const TYPES = {
  "index.html": "text/html",
  "app.js": "text/javascript",
  "app.css": "text/css",
  "icon.svg": "image/svg+xml",
};

/** In dist/cjs/inspector and dist/esm/inspector, and in tools/inspector. */
const FOLDERS = ["../../inspector-page", "../../dist/inspector-page"];

/** @returns {Map<string, { type: string, text: string }>} by name */
exports.readAssets = function readAssets() {
  const files = Object.entries(TYPES).map(([name, type]) => [
    name,
    { type: `${type}; charset=utf-8`, text: read(name) },
  ]);
  return new Map(files);
};

function read(name) {
  let fault;
  for (const folder of FOLDERS) {
    try {
      return readFileSync(join(__dirname, folder, name), "utf8");
    } catch (error) {
      fault ??= error;
    }
  }
  throw new Error(
    "inspect(): the files of its page are missing. If your code is bundled, leave express-portico out of the bundle (as an external package).",
    { cause: fault },
  );
}
