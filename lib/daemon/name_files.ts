import type { NameSource } from "../ipc/name_service.ts";
import { defaultConfig, DNS_PORT, parseResolvConf, type ResolverConfig } from "../resolver/config.ts";
import { Hosts } from "../resolver/hosts.ts";
import { toHostName } from "../resolver/name.ts";
import { formatIp } from "../wire/address.ts";

const RESOLV_CONF = "/etc/resolv.conf";
/** systemd-resolved(8): the servers that its stub on 127.0.0.53 asks, which the stack can ask as well. */
const UPSTREAM_CONF = "/run/systemd/resolve/resolv.conf";
const HOSTS = "/etc/hosts";

/** How often the files are looked at, at most. */
const INTERVAL_US = 1_000_000;

/** What the daemon was told. */
export interface NameOptions {
  /** Servers to ask instead of those of resolv.conf; none: those. */
  dns: readonly number[];
  /** The search list instead of that of resolv.conf; null: that. */
  dnsSearch: readonly string[] | null;
}

/** The resolver's configuration from the host's files, read again when they have changed. */
export class NameFiles implements NameSource {
  readonly #options: NameOptions;
  readonly #warn: (message: string) => void;
  #lookAgainAtUs = -Infinity;
  #stamp = "";
  #warned = "";
  /** Servers that resolv.conf names in vain. */
  #unreachable: string[] = [];

  /** `warn` is told when there is no server that the stack could ask. */
  constructor(options: NameOptions, warn: (message: string) => void) {
    this.#options = options;
    this.#warn = warn;
  }

  refresh(now: number): { config: ResolverConfig; hosts: Hosts } | null {
    if (now < this.#lookAgainAtUs) return null;
    this.#lookAgainAtUs = now + INTERVAL_US;
    const stamp = [RESOLV_CONF, UPSTREAM_CONF, HOSTS].map(stampOf).join(" ");
    if (stamp === this.#stamp) return null;
    this.#stamp = stamp;
    return { config: this.#readConfig(), hosts: new Hosts(readText(HOSTS)) };
  }

  #readConfig(): ResolverConfig {
    const { dns, dnsSearch } = this.#options;
    if (dns.length > 0) {
      const servers = dns.map((address) => ({ address, port: DNS_PORT }));
      return { ...defaultConfig(), servers, search: dnsSearch ?? [] };
    }
    const { config, unreachable } = readHostFiles();
    this.#unreachable = unreachable;
    return dnsSearch === null ? config : { ...config, search: dnsSearch };
  }

  /** Told once for each state of the file. */
  noServer(): void {
    const why = this.#unreachable.length === 0
      ? `${RESOLV_CONF} names no server`
      : `the stack cannot reach those of ${RESOLV_CONF} (${this.#unreachable.join(", ")})`;
    const message = `names cannot be resolved: ${why}; name servers with --dns ADDRESS`;
    if (message !== this.#warned) this.#warn(message);
    this.#warned = message;
  }
}

/** What the host's own resolver is told; servers that the stack cannot reach are named in `unreachable`. */
function readHostFiles(): { config: ResolverConfig; unreachable: string[]; source: string } {
  const { config, unreachable } = parseResolvConf(readText(RESOLV_CONF), localDomain());
  if (config.servers.length > 0 || unreachable.length === 0) {
    return { config, unreachable, source: RESOLV_CONF };
  }
  config.servers = parseResolvConf(readText(UPSTREAM_CONF)).config.servers;
  return { config, unreachable, source: config.servers.length > 0 ? UPSTREAM_CONF : RESOLV_CONF };
}

/** The servers that a daemon without `--dns` asks, the file that names them, and those it names in vain. */
export function hostServers(): { servers: string[]; source: string; unreachable: string[] } {
  const { config, unreachable, source } = readHostFiles();
  return { servers: serverNames(config), source, unreachable };
}

/** What follows the first dot of this host's name, if anything does. */
function localDomain(): string[] {
  const domain = toHostName(Deno.hostname().replace(/^[^.]*\.?/, ""));
  return domain === null ? [] : [domain];
}

/** Changes when the file does. */
function stampOf(path: string): string {
  try {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()}:${size}:${ino}`;
  } catch {
    return "-";
  }
}

/** A file that cannot be read says nothing. */
function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** For the log and for `status`. */
export function serverNames({ servers }: ResolverConfig): string[] {
  return servers.map(({ address }) => formatIp(address));
}
