import { type IpAddress, parseIp } from "../wire/address.ts";

/** RFC 1035 2.3.4: 255 bytes on the wire are 253 characters with dots between the labels. */
const MAX_LENGTH = 253;

/** RFC 1123 2.1, and the underscore that service names have (RFC 8552). */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 2317 delegates reverse names by labels with a slash: what may stand on the way to a host's name. */
const ALIAS = /^[\x21-\x5b\x5d-\x7e]{1,253}$/;

const REVERSE = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/;

/**
 * A name as it is asked for: in lower case, in ASCII (RFC 5891, by UTS 46 as browsers have it), without the dot at its
 * end; null for what cannot be a host's name.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * assertEquals(toHostName("Bücher.Example."), "xn--bcher-kva.example");
 * assertEquals(toHostName("no spaces.example"), null);
 * ```
 */
export function toHostName(text: string): string | null {
  const name = toAscii(text.endsWith(".") ? text.slice(0, -1) : text);
  return name !== null && isHostName(name) ? name : null;
}

/** Whether `name`, in lower case, can be a host's: what programs are given must not surprise them. */
export function isHostName(name: string): boolean {
  return name.length <= MAX_LENGTH && name.split(".").every((label) => LABEL.test(label));
}

/** Whether `name` may stand in a chain of aliases of a reverse name: printable, so that it does no harm when shown. */
export function isAliasName(name: string): boolean {
  return ALIAS.test(name);
}

function toAscii(text: string): string | null {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
  // What would end the host's part of a URL must not be cut off there.
  if (/[/?#@:\\\s%]/.test(text)) return null;
  const url = URL.parse(`http://${text}/`);
  // Digits of other scripts would make an address of a name.
  return url === null || parseIp(url.hostname) !== null ? null : url.hostname;
}

/** RFC 1035 3.5: "4.3.2.1.in-addr.arpa" for 1.2.3.4. */
export function reverseName(address: IpAddress): string {
  return `${address & 255}.${(address >>> 8) & 255}.${(address >>> 16) & 255}.${address >>> 24}.in-addr.arpa`;
}

/** The address whose reverse name this is; null if it is none. */
export function addressOfReverse(name: string): IpAddress | null {
  const match = REVERSE.exec(name);
  return match === null ? null : parseIp(match.slice(1).reverse().join("."));
}
