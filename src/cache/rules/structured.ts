/**
 * The value of a dictionary member: a boolean, the text of a number, string or token, or undefined for a type that no
 * cache directive has.
 */
export type Member = boolean | { readonly text: string; readonly isString: boolean } | undefined;

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const NUMBER = /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y;
const BYTES = /:[A-Za-z0-9+/]*={0,2}:/y;
const BOOLEAN = /\?[01]/y;

/** Reads a dictionary (RFC 8941 section 4.2.2); undefined if there is any error in it. */
export function parseDictionary(value: string): ReadonlyMap<string, Member> | undefined {
  return new Parser(value).dictionary();
}

class Parser {
  private at = 0;

  constructor(private readonly text: string) {}

  dictionary(): ReadonlyMap<string, Member> | undefined {
    const members = new Map<string, Member>();
    this.skip(" ");
    while (this.at < this.text.length) {
      const key = this.take(KEY);
      if (key === undefined) return undefined;
      const member = this.takes("=") ? this.member() : true;
      if (member === FAULT || !this.parameters()) return undefined;
      members.delete(key);
      members.set(key, member); // of two members with one key the last counts
      this.skip(" \t");
      if (this.at === this.text.length) return members;
      if (!this.takes(",")) return undefined;
      this.skip(" \t");
      if (this.at === this.text.length) return undefined;
    }
    return members;
  }

  private member(): Member | typeof FAULT {
    return this.takes("(") ? this.innerList() : this.bareItem();
  }

  private innerList(): undefined | typeof FAULT {
    for (;;) {
      this.skip(" ");
      if (this.takes(")")) return undefined;
      if (this.bareItem() === FAULT || !this.parameters()) return FAULT;
      const next = this.text[this.at];
      if (next !== " " && next !== ")") return FAULT;
    }
  }

  private parameters(): boolean {
    while (this.takes(";")) {
      this.skip(" ");
      if (this.take(KEY) === undefined) return false;
      if (this.takes("=") && this.bareItem() === FAULT) return false;
    }
    return true;
  }

  private bareItem(): Member | typeof FAULT {
    const boolean = this.take(BOOLEAN);
    if (boolean !== undefined) return boolean === "?1";
    const string = this.take(STRING);
    if (string !== undefined) return { text: string.slice(1, -1).replace(/\\(.)/g, "$1"), isString: true };
    const plain = this.take(NUMBER) ?? this.take(TOKEN);
    if (plain !== undefined) return { text: plain, isString: false };
    return this.take(BYTES) === undefined ? FAULT : undefined;
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private takes(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private skip(chars: string): void {
    while (this.at < this.text.length && chars.includes(this.text[this.at]!)) this.at++;
  }
}

const FAULT = Symbol("fault");
