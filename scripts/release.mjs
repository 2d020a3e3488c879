// Tags the version in package.json, once everything that a release needs is true.
//
//   npm run release -- --dry-run   checks all of it, and does not tag
//   npm run release
//
// The tag is not pushed and the package is not published: the last lines say how.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const dryRun = process.argv.includes("--dry-run");
const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim();
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const changelog = readFileSync("CHANGELOG.md", "utf8");
const tag = `v${version}`;

/** The text of a section of the changelog, or undefined. */
function section(heading) {
  const [, text] = changelog.split(new RegExp(`^## ${heading}.*\\n`, "m"));
  return text?.split(/^## /m)[0].trim();
}

const problems = [];
const escaped = version.replaceAll(".", "\\.");
const dated = section(`\\[${escaped}\\] - \\d{4}-\\d{2}-\\d{2}$`);
if (dated === undefined) {
  problems.push(`CHANGELOG.md has no section with a date for this version: "## [${version}] - YYYY-MM-DD"`);
} else if (dated === "") {
  problems.push(`The section of ${version} in CHANGELOG.md is empty`);
}
if (section("\\[Unreleased\\]"))
  problems.push(`CHANGELOG.md still has entries under Unreleased: move them to ${version}`);
if (lock.version !== version) problems.push(`package-lock.json is of ${lock.version}: run "npm install"`);
if (git("status", "--porcelain") !== "") problems.push("The working tree has changes that are not committed");
if (git("branch", "--show-current") !== "main") problems.push("The branch is not main");
if (git("tag", "--list", tag) !== "") problems.push(`The tag ${tag} exists already`);
if (problems.length > 0) {
  console.error(`${version} cannot be released:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  process.exit(1);
}

execFileSync("bash", [".ci/run"], { stdio: "inherit" });
if (git("status", "--porcelain") !== "") {
  console.error("The checks have changed files of the working tree: see git status");
  process.exit(1);
}

if (dryRun) {
  console.log(`\n${version} can be released. Without --dry-run this would be tagged ${tag}.`);
} else {
  git("tag", "--annotate", "--cleanup=whitespace", tag, "--message", `${version}\n\n${dated}`);
  console.log(`\nTagged ${tag}. To publish it:\n  git push origin main ${tag}\n  npm publish`);
}
