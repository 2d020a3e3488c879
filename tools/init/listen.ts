import { type Edit, Refusal } from "./edits.js";
import { isFunction, type Node } from "./nodes.js";
import { type Source, textOf } from "./source.js";
import { isUnknown, staticValue } from "./static-value.js";
import type { Use } from "./uses.js";

const OWN_SIGNALS =
  /\bprocess\s*\.\s*(?:on|once|addListener)\(\s*['"](SIGTERM|SIGINT|uncaughtException|unhandledRejection)['"]/;

/** `app.listen(port, callback)` as `serve(app, { port }).then(callback)`. */
export function translateListen(
  source: Source,
  app: string,
  use: Use,
): ((serve: string) => readonly Edit[]) | Refusal {
  const call = use.call!;
  const parent = source.parentOf(call);
  if (parent?.type !== "ExpressionStatement")
    return new Refusal("its result is used: see docs/serve.md for what serve returns");
  const [, signal] = OWN_SIGNALS.exec(source.text) ?? [];
  if (signal !== undefined)
    return new Refusal(
      `the file handles ${signal} itself, and so does serve: move that to served.closed (docs/serve.md)`,
    );
  const given = [...call.arguments];
  const last = given.at(-1);
  const callback = last !== undefined && isCallback(source, last) ? given.pop() : undefined;
  const [port, host, ...others] = given;
  if (port === undefined || others.length > 0)
    return new Refusal("it is not called with a port, and maybe a host and a callback");
  const portValue = staticValue(source, port);
  if (typeof portValue === "object" && !isUnknown(portValue))
    return new Refusal("its options are an object: docs/serve.md has those of serve");
  if (host !== undefined && typeof staticValue(source, host) !== "string" && !isHost(source, host))
    return new Refusal(`whether ${textOf(source, host)} is a host or a callback is not written in this file`);
  if (callback !== undefined && !isPlain(source, callback))
    return new Refusal("its callback has parameters or uses this, which a promise does not give it");
  const settings = [
    field(source, "port", port),
    ...(host === undefined ? [] : [field(source, "host", host)]),
  ];
  const end = callback === undefined ? call.end! - 1 : callback.start!;
  return (serve) => {
    const options = `${serve}(${app}, { ${settings.join(", ")} }`;
    return [{ start: call.start!, end, text: callback === undefined ? options : `${options}).then(` }];
  };
}

function field(source: Source, name: string, value: Node): string {
  const text = textOf(source, value);
  return text === name ? name : `${name}: ${text}`;
}

function isHost(source: Source, node: Node): boolean {
  const value = staticValue(source, node);
  return isUnknown(value) && (value.isText || value.isEnvironment || /host|addr/i.test(textOf(source, node)));
}

function isCallback(source: Source, node: Node): boolean {
  return (
    isFunction(node) ||
    typeof staticValue(source, node) === "function" ||
    /^(?:on[A-Z]\w*|cb|callback|done)$/.test(textOf(source, node))
  );
}

/** A function without parameters and `this`, written here. */
function isPlain(source: Source, node: Node): boolean {
  let written: Node | null | undefined = node;
  if (node.type === "Identifier") {
    const [declaration] = source.bindingOf(node)?.declarations ?? [];
    const declared = declaration && source.parentOf(declaration);
    written = declared?.type === "VariableDeclarator" ? declared.init : declared;
  }
  if (!isFunction(written ?? undefined)) return false;
  const { params } = written as { params: readonly Node[] };
  const isArrow = written!.type === "ArrowFunctionExpression"; // its `this` is that of the code around it
  return params.length === 0 && (isArrow || !/\b(?:this|arguments)\b/.test(textOf(source, written!)));
}
