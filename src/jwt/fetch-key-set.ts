import { runOutside } from "../lib/request/scope.js";
import { KeySet } from "./key-set.js";

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1_048_576;

/**
 * Fetches a key set, within limits of time and size. Redirections are not followed, because only the configured URL is
 * trusted.
 */
export function fetchKeySet(url: string): Promise<KeySet> {
  return new Promise((resolve, reject) => {
    // The connection outlives the request that needs the keys first, so it must not run in the context of that request.
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
    response.body?.cancel().catch(() => {}); // rejects if the body was truncated
    throw new Error(`the answer was ${response.status || "a redirection"}`);
  }
  return new KeySet(parse(await textOf(response)));
}

/** Hides the parser's message, which quotes the body. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("the body is not JSON");
  }
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let bytes = 0;
  let text = "";
  // Throwing out of the loop cancels the rest of the body.
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
