import type { Stats } from "node:fs";

/** Removes the file of a Unix socket that is listened to now; once another one is in its place, nothing. */
export function removerOf(path: string): () => void {
  const ours = look(path);
  return () => {
    if (ours !== undefined && isSame(ours, look(path))) process.getBuiltinModule("node:fs").unlinkSync(path);
  };
}

/**
 * Removes the file of a Unix socket that nobody listens to any more: the program that did was killed. True if it has;
 * a file that is no socket, or that somebody answers at, stays.
 */
export async function removeStale(path: string): Promise<boolean> {
  const found = look(path);
  if (!found?.isSocket() || !(await isDeserted(path))) return false;
  if (!isSame(found, look(path))) return false; // somebody was faster
  process.getBuiltinModule("node:fs").unlinkSync(path);
  return true;
}

function look(path: string): Stats | undefined {
  try {
    return process.getBuiltinModule("node:fs").lstatSync(path);
  } catch {
    return undefined;
  }
}

/** The number of a removed file may be given to the next one. */
function isSame(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.mtimeMs === other.mtimeMs;
}

function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule("node:net").connect({ path });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "ECONNREFUSED"));
  });
}
