import type { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";

/** Made on first use: until then no promise of the process is followed for it. */
let renderers: AsyncLocalStorage<ServerResponse> | undefined;

/**
 * Runs what writes the answer to a request that a timeout has given up: it may wait for something, and meanwhile all that
 * the late handler does with the same response is ignored. They are told apart by where their calls come from.
 */
export function callAsRenderer(res: ServerResponse, action: () => void): void {
  if (renderers === undefined) {
    const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
    renderers = new AsyncLocalStorage();
  }
  renderers.run(res, action);
}

/** Whether this is called by what writes the response's answer. */
export function isRendering(res: ServerResponse): boolean {
  return renderers !== undefined && renderers.getStore() === res;
}
