import type { Stats } from "node:fs";

/** Returns a function that removes this file of a Unix socket, unless another file has replaced it. */
export function socketFileRemover(path: string): () => void {
  const created = statOf(path);
  return () => {
    if (created !== undefined && isSame(created, statOf(path)))
      process.getBuiltinModule("node:fs").unlinkSync(path);
  };
}

/**
 * Removes the file of a Unix socket on which no program listens: the one that did was killed. Returns whether it has.
 * A file that is no socket, or on which a program listens, stays.
 */
export async function removeStaleSocketFile(path: string): Promise<boolean> {
  const found = statOf(path);
  if (!found?.isSocket() || !(await isUnused(path))) return false;
  if (!isSame(found, statOf(path))) return false; // another program has replaced it
  process.getBuiltinModule("node:fs").unlinkSync(path);
  return true;
}

function statOf(path: string): Stats | undefined {
  try {
    return process.getBuiltinModule("node:fs").lstatSync(path);
  } catch {
    return undefined;
  }
}

/** The inode alone does not tell: a new file may get the number of a removed one. */
function isSame(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.mtimeMs === other.mtimeMs;
}

function isUnused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule("node:net").connect({ path });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "ECONNREFUSED"));
  });
}
