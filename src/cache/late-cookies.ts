import type { ServerResponse } from "node:http";

type Method = (name: string, ...values: unknown[]) => unknown;

/**
 * Runs `write`, which writes the head through outer middleware, and calls `onCookie` if one of these sets a cookie
 * before the head is made. A session does so by a hook of its own; watching the methods is the only way to see it.
 */
export function watchCookies(res: ServerResponse, onCookie: () => void, write: () => void): void {
  let isWatching = true;
  const restores = (["setHeader", "appendHeader"] as const).map((name) => {
    const isOwn = Object.hasOwn(res, name);
    const method = res[name] as unknown as Method;
    const watched: Method = function (this: ServerResponse, header, ...values) {
      if (isWatching && String(header).toLowerCase() === "set-cookie") {
        isWatching = false;
        onCookie();
      }
      return method.call(this, header, ...values);
    };
    Object.assign(res, { [name]: watched });
    return () => {
      if ((res[name] as unknown) !== watched) return; // patched by others meanwhile, who still call it
      if (isOwn) Object.assign(res, { [name]: method });
      else Reflect.deleteProperty(res, name);
    };
  });
  try {
    write();
  } finally {
    isWatching = false;
    for (const restore of restores) restore();
  }
}
