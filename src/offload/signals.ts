const callbacksBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `onAbort` when the signal aborts; returns a function that stops this. A signal gets one listener for all its
 * callbacks, because Node warns about more than ten; the listener is removed with the last callback.
 */
export function listenForAbort(signal: AbortSignal, onAbort: () => void): () => void {
  const callbacks = callbacksBySignal.get(signal) ?? listen(signal);
  callbacks.add(onAbort);
  return () => {
    if (!callbacks.delete(onAbort) || callbacks.size > 0 || !callbacksBySignal.delete(signal)) return;
    signal.removeEventListener("abort", callCallbacks);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  callbacksBySignal.set(signal, callbacks);
  signal.addEventListener("abort", callCallbacks, { once: true });
  return callbacks;
}

function callCallbacks(this: AbortSignal): void {
  for (const callback of callbacksBySignal.get(this) ?? []) callback();
}
