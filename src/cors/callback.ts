/** An origin function of the `cors` package takes `(origin, callback)` and returns nothing: here it would refuse all. */
const SECOND_PARAMETER = /^(?:async\s+)?(?:function\b\s*)?[\w$]*\s*\(\s*[\w$]+\s*,\s*([\w$]+)/;
const CALLBACK_NAME = /^_*(?:cb|clb|callback|done|next)\d*$/i;

/**
 * Whether the function expects a callback: its second parameter has a callback's name, or is called. Ours is the request,
 * which cannot be called. The source of a bound or native function is hidden; `warnOfCallback` recognises those.
 */
export function takesCallback(decide: (...args: never[]) => unknown): boolean {
  if (decide.length > 2) return true;
  const source = Function.prototype.toString.call(decide);
  const name = SECOND_PARAMETER.exec(source)?.[1];
  if (name === undefined) return false;
  if (CALLBACK_NAME.test(name)) return true;
  const escaped = name.replaceAll("$", "\\$");
  return new RegExp(`(?<![\\w$.])${escaped}\\s*(?:(?:\\?\\.)?\\(|\\.(?:call|apply)\\()`).test(codeOf(source));
}

/** Removes comments and strings (of one line); what is missed here, `warnOfCallback` recognises at the first call. */
function codeOf(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .replace(/(["'])(?:\\.|(?!\1)[^\\\n])*\1/g, '""')
    .replace(/(^|\s)\/\/.*$/gm, " ");
}
