import type { ServerResponse } from "node:http";

/** Who has set a header to which value. */
interface Change {
  readonly value: string;
  readonly owner: number;
}

const MAX_NAMES = 100;
const MAX_CHANGES = 8;
const MAX_VALUE = 1_024;

type SetHeader = (this: ServerResponse, name: string, value: unknown) => ServerResponse;

/** Remembers which call has set which header of one response. */
export class HeaderHistory {
  readonly #changes = new Map<string, Change[]>();

  /** @param owner the index of the call whose code is running */
  watch(res: ServerResponse, owner: () => number): void {
    for (const name of res.getHeaderNames()) this.#note(name, res.getHeader(name), owner());
    const { setHeader, appendHeader, removeHeader } = res as unknown as Record<string, SetHeader | undefined>;
    const history = this;
    const watched: Record<string, unknown> = {};
    for (const [key, method] of Object.entries({ setHeader, appendHeader })) {
      if (method === undefined) continue;
      watched[key] = function (this: ServerResponse, name: string, value: unknown) {
        const result = method.call(this, name, value);
        history.#note(String(name), this.getHeader(name), owner());
        return result;
      };
    }
    watched.removeHeader = function (this: ServerResponse, name: string) {
      history.#changes.delete(String(name).toLowerCase());
      return removeHeader!.call(this, name, undefined);
    };
    for (const [key, value] of Object.entries(watched)) {
      Object.defineProperty(res, key, { value, configurable: true, writable: true, enumerable: true });
    }
  }

  /** The calls that have set the header, the last one last. */
  setBy(name: string): number[] {
    return [...new Set((this.#changes.get(name.toLowerCase()) ?? []).map(({ owner }) => owner))];
  }

  #note(name: string, given: unknown, owner: number): void {
    const key = name.toLowerCase();
    const value = String(given).slice(0, MAX_VALUE);
    const changes = this.#changes.get(key) ?? [];
    const known = changes.findIndex((change) => change.value === value);
    // An earlier value comes back when another answer replaces the handler's.
    if (known !== -1) changes.splice(known + 1);
    else if (changes.length < MAX_CHANGES) changes.push({ value, owner });
    if (changes.length > 0 && (this.#changes.has(key) || this.#changes.size < MAX_NAMES))
      this.#changes.set(key, changes);
  }
}
