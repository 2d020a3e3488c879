import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/markdown.js";

const CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-28\n\n### Fixed\n\n- A leak.\n";
let folder: string;

/** A repository whose checks pass, with the given files changed and committed. */
function repository(files: Record<string, string> = {}): void {
  mkdirSync(join(folder, ".ci"));
  const all = {
    "package.json": '{"name":"released","version":"1.2.0"}',
    "package-lock.json": '{"name":"released","version":"1.2.0"}',
    "CHANGELOG.md": CHANGELOG,
    ".ci/run": "echo the checks ran",
    ...files,
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  git("init", "--quiet", "--initial-branch=main");
  git("add", ".");
  appendFileSync(join(folder, ".git/config"), "[user]\n\tname = t\n\temail = t@t.example\n");
  git("commit", "--quiet", "--message", "First");
}

const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, encoding: "utf8" });

function release(...args: string[]) {
  const script = join(root, "scripts/release.mjs");
  return spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: "utf8" });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portico-release-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("a release runs the checks and tags the version with its changelog", () => {
  repository();
  const { stdout, status } = release();
  expect([stdout, status]).toEqual([expect.stringContaining("the checks ran"), 0]);
  expect(git("tag", "--list", "--format=%(refname:short) %(contents)")).toBe(
    "v1.2.0 1.2.0\n\n### Fixed\n\n- A leak.\n\n",
  );
});

it("a dry run runs the checks and does not tag", () => {
  repository();
  const { stdout, status } = release("--dry-run");
  expect([stdout, status]).toEqual([expect.stringContaining("the checks ran"), 0]);
  expect(git("tag", "--list")).toBe("");
});

it("a failed check stops the release", () => {
  repository({ ".ci/run": "exit 3" });
  expect(release().status).not.toBe(0);
  expect(git("tag", "--list")).toBe("");
});

const incomplete: [string, Record<string, string>, RegExp][] = [
  [
    "a version without a date in the changelog",
    { "CHANGELOG.md": "## [1.2.0]\n- A leak.\n" },
    /no section with a date/,
  ],
  [
    "entries that are still unreleased",
    { "CHANGELOG.md": CHANGELOG.replace("ed]\n", "ed]\n\n- More.\n") },
    /Unreleased/,
  ],
  ["another version in the lockfile", { "package-lock.json": '{"version":"1.1.0"}' }, /is of 1\.1\.0/],
];
it.each(incomplete)("%s stops the release before the checks", (_name, files, message) => {
  repository(files);
  const { stdout, stderr, status } = release();
  expect([stdout, stderr, status]).toEqual(["", expect.stringMatching(message), 1]);
});

it("uncommitted changes, another branch and an existing tag are reported together", () => {
  repository();
  git("tag", "v1.2.0");
  git("switch", "--quiet", "--create", "other");
  writeFileSync(join(folder, "new.txt"), "");
  expect(release().stderr.match(/^- /gm)).toHaveLength(3);
});
