import { isIP } from "node:net";
import { mappedIPv4 } from "./host.js";

/** An address with a port, or in brackets: `203.0.113.9:51234`, `[2001:db8::1]`, `[2001:db8::1]:443`. */
const WRITTEN = /^(?:(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}|\[([\da-f:.]+(?:%[^\]]*)?)\](?::\d{1,5})?)$/i;

/**
 * The IP address in a text that a proxy has written: without port, brackets and zone; an IPv4-mapped IPv6 address as IPv4.
 * Undefined for everything else, such as `unknown` and the obfuscated identifiers of RFC 7239.
 */
export function readAddress(text: string): string | undefined {
  const match = WRITTEN.exec(text);
  const address = plainAddress(match?.[1] ?? match?.[2] ?? text);
  return isIP(address) === 0 ? undefined : address;
}

/** An address as a socket reports it: IPv4 may be `::ffff:192.0.2.1`, and a link-local address has its zone. */
export function plainAddress(address: string): string {
  if (!address.includes(":")) return address;
  const [bare = ""] = address.split("%", 1);
  if (!/^[0:]*:ffff:/i.test(bare)) return bare;
  const last = bare.slice(bare.lastIndexOf(":") + 1);
  if (last.includes(".")) return last;
  const isHexadecimal = isIP(bare) === 6; // `::ffff:c000:201`
  return (isHexadecimal && mappedIPv4(new URL(`http://[${bare}]`).hostname)) || bare;
}
