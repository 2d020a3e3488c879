// Runs on the threads and calls the task. It is a separate file because a thread is started from a file.
//
// Each task has its own port for input and reply, so that a reply that cannot be copied fails the task and not the
// thread. Errors are sent as plain objects, because copying an Error loses its name and status.
const { parentPort, receiveMessageOnPort } = require("node:worker_threads");

/** @param {{ id: number, href: string, port: import("node:worker_threads").MessagePort }} call */
module.exports = async function run({ id, href, port }) {
  try {
    const task = await load(href);
    if (task === undefined) return port.postMessage({ kind: "no-function" });
    parentPort.postMessage({ offloadStarted: id }); // the clock runs from here
    reply(port, await task(receiveMessageOnPort(port).message));
  } catch (error) {
    port.postMessage({ kind: "threw", error: describe(error, 0) });
  }
};

async function load(href) {
  let module;
  try {
    module = await import(href);
  } catch (cause) {
    const error = new Error(`offload: the module cannot be loaded: ${read(cause, "message") ?? cause}`, {
      cause,
    });
    throw Object.assign(error, { code: "ERR_OFFLOAD_MODULE" });
  }
  const exported = module.default;
  if (typeof exported === "function") return exported;
  // Compilers write `export default` in CommonJS this way.
  const inner = read(exported, "__esModule") ? read(exported, "default") : undefined;
  return typeof inner === "function" ? inner : undefined;
}

function reply(port, result) {
  try {
    port.postMessage({ kind: "result", result });
  } catch (error) {
    port.postMessage({ kind: "not-cloneable", error: describe(error, 0) });
  }
}

const MAX_CAUSES = 5;
/** Own properties of HTTP clients' errors, whose status came from another server and must not become ours. */
const HTTP_CLIENT_PROPERTIES = ["response", "request", "config", "$metadata"];

/** Plain strings and numbers for anything thrown: a string, a Proxy, an error with getters that throw. */
function describe(thrown, depth) {
  if (typeof thrown !== "object" || thrown === null) {
    return { message: `a value that is not an Error was thrown: ${typeof thrown} ${show(thrown)}` };
  }
  const cause = read(thrown, "cause");
  const message = text(thrown, "message");
  return {
    name: text(thrown, "name"),
    message: message ?? "a value that is not an Error was thrown",
    stack: text(thrown, "stack"),
    code: text(thrown, "code"),
    ...ownStatus(thrown),
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: describe(cause, depth + 1) }),
  };
}

function ownStatus(thrown) {
  const status = owns(thrown, "status") ? read(thrown, "status") : undefined;
  if (!Number.isInteger(status) || status < 400 || status > 599) return {};
  const ofHttpClient = HTTP_CLIENT_PROPERTIES.some((mark) => owns(thrown, mark));
  if (ofHttpClient && typeof read(thrown, "getStatus") !== "function") return {}; // NestJS's have getStatus
  return { status, expose: read(thrown, "expose") === true };
}

function text(thrown, key) {
  const value = read(thrown, key);
  return typeof value === "string" ? value : undefined;
}

function show(value) {
  return typeof value === "function" ? value.name : String(value);
}

function read(value, key) {
  try {
    return value?.[key];
  } catch {
    return undefined;
  }
}

function owns(value, key) {
  try {
    return Object.hasOwn(value, key);
  } catch {
    return false;
  }
}
