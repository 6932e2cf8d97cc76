import { type IpAddress, isLoopback, parseIp } from "../wire/address.ts";
import { toHostName } from "./name.ts";

/** Whom to ask and how; the names are resolv.conf(5)'s. */
export interface ResolverConfig {
  servers: readonly ServerAddress[];
  search: readonly string[];
  /** A name with so many dots is tried as it stands first. */
  ndots: number;
  /** How long a server is given at first. */
  timeoutUs: number;
  /** How often each server is asked. */
  attempts: number;
  /** Begin with another server each time. */
  rotate: boolean;
  /** Ask over TCP only. */
  useTcp: boolean;
  /** Ask with the extensions of RFC 6891. */
  edns: boolean;
}

export interface ServerAddress {
  address: IpAddress;
  port: number;
}

export const DNS_PORT = 53;

/** resolv.conf(5): MAXNS, and the greatest values of options, beyond which they are cut off. */
const MAX_SERVERS = 3;
const MAX_NDOTS = 15;
const MAX_TIMEOUT = 30;
const MAX_ATTEMPTS = 5;

/** What resolv.conf(5) says holds where nothing is said. */
export function defaultConfig(): ResolverConfig {
  return {
    servers: [],
    search: [],
    ndots: 1,
    timeoutUs: 5_000_000,
    attempts: 2,
    rotate: false,
    useTcp: false,
    edns: true,
  };
}

/**
 * Reads a resolv.conf(5); `localDomain` is searched where neither "search" nor "domain" is written. Servers that the stack cannot reach, as it has neither IPv6 nor the host's loopback, are left
 * out; `unreachable` names them.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * const { config } = parseResolvConf("nameserver 10.0.0.5\nsearch example\noptions timeout:1");
 * assertEquals([config.servers.length, config.search, config.timeoutUs], [1, ["example"], 1_000_000]);
 * ```
 */
export function parseResolvConf(
  text: string,
  localDomain: readonly string[] = [],
): { config: ResolverConfig; unreachable: string[] } {
  const config: ResolverConfig = { ...defaultConfig(), search: localDomain };
  const servers: ServerAddress[] = [];
  const unreachable: string[] = [];
  for (const line of text.split("\n")) {
    // A comment begins a line; behind a value, ; and # are part of it, though nobody means that.
    const [keyword, ...values] = line.replace(/[;#].*/, "").trim().split(/\s+/);
    if (keyword === "nameserver" && values.length > 0) {
      const address = parseIp(values[0]);
      if (address === null || isLoopback(address)) unreachable.push(values[0]);
      else if (servers.length < MAX_SERVERS) servers.push({ address, port: DNS_PORT });
    } else if (keyword === "search" || keyword === "domain") {
      // The last of the two counts.
      config.search = values.map(toHostName).filter((name) => name !== null);
    } else if (keyword === "options") {
      for (const option of values) readOption(config, option);
    }
  }
  config.servers = servers;
  return { config, unreachable };
}

function readOption(config: ResolverConfig, option: string): void {
  const [name, text] = option.split(":");
  const value = /^\d+$/.test(text ?? "") ? Number(text) : undefined;
  if (name === "rotate") config.rotate = true;
  else if (name === "use-vc") config.useTcp = true;
  else if (value === undefined) return;
  else if (name === "ndots") config.ndots = Math.min(value, MAX_NDOTS);
  else if (name === "timeout") config.timeoutUs = Math.max(1, Math.min(value, MAX_TIMEOUT)) * 1_000_000;
  else if (name === "attempts") config.attempts = Math.max(1, Math.min(value, MAX_ATTEMPTS));
}

/** The names to ask for in turn, by search list and ndots as res_search(3) does; the name is without its last dot. */
export function candidates(name: string, isAbsolute: boolean, config: ResolverConfig): string[] {
  if (isAbsolute) return [name];
  const dots = name.split(".").length - 1;
  const listed = config.search.map((domain) => `${name}.${domain}`);
  return dots >= config.ndots ? [name, ...listed] : [...listed, name];
}
