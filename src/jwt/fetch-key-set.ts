import { runOutside } from "../context/scope.js";
import { KeySet } from "./key-set.js";

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1_048_576;

/**
 * Asks for a key set, in bounded time and size. No redirection is followed: the keys are trusted because of where they
 * come from.
 */
export function fetchKeySet(url: string): Promise<KeySet> {
  return new Promise((resolve, reject) => {
    // The connection outlives the request that happens to be the first: it must not be taken for a part of it.
    runOutside(() => void load(url).then(resolve, reject));
  });
}

async function load(url: string): Promise<KeySet> {
  const response = await fetch(url, {
    redirect: "manual",
    headers: { Accept: "application/jwk-set+json, application/json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) {
    response.body?.cancel().catch(() => {}); // with an error of its own, if it was cut
    throw new Error(`the answer was ${response.status || "a redirection"}`);
  }
  return new KeySet(parse(await textOf(response)));
}

/** What the parser says of a fault quotes what was sent. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("what was sent is not JSON");
  }
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let bytes = 0;
  let text = "";
  // Leaving the loop cancels the rest.
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
