/** The web schemes, whose hosts are domains or IP addresses in lower case. */
export const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  http: "80",
  https: "443",
  ws: "80",
  wss: "443",
};

/** Whether hosts are domains or IP addresses; in other schemes (`capacitor:`, extensions) they can be any name. */
export function isWebScheme(scheme: string): boolean {
  return Object.hasOwn(DEFAULT_PORTS, scheme);
}

/** Hosts of Safari's extensions and of web views keep their case. */
export function hasLowerCaseHosts(scheme: string): boolean {
  return isWebScheme(scheme) || scheme === "chrome-extension" || scheme === "moz-extension";
}

/** `chrome-extension`, `moz-extension`, `safari-web-extension`. */
export function isExtensionScheme(scheme: string): boolean {
  return /(?:^|-)extension$/.test(scheme);
}
