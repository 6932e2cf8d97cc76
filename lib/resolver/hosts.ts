import { type IpAddress, parseIp } from "../wire/address.ts";

/** One name of a hosts file. */
interface HostEntry {
  addresses: IpAddress[];
  canonicalName: string;
}

/** The IPv4 part of a hosts(5) file, both ways. */
export class Hosts {
  readonly #byName = new Map<string, HostEntry>();
  readonly #byAddress = new Map<IpAddress, string[]>();

  /**
   * Reads the file's text; lines that are not understood are left out, as the C library does.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * const hosts = new Hosts("10.0.0.2 db.example db # the database");
   * assertEquals(hosts.find("db")?.canonicalName, "db.example");
   * ```
   */
  constructor(text = "") {
    for (const line of text.split("\n")) {
      const [first, ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/);
      const address = parseIp(first);
      if (address === null || names.length === 0) continue;
      for (const name of names) this.#add(name, names[0], address);
      // As getnameinfo(3): the first line that has the address counts.
      if (!this.#byAddress.has(address)) this.#byAddress.set(address, names);
    }
  }

  #add(name: string, canonicalName: string, address: IpAddress): void {
    const entry = this.#byName.get(name);
    if (entry === undefined) this.#byName.set(name, { addresses: [address], canonicalName });
    else if (!entry.addresses.includes(address)) entry.addresses.push(address);
  }

  /** By name, in lower case and without a dot at its end. */
  find(name: string): Readonly<HostEntry> | undefined {
    return this.#byName.get(name);
  }

  /** The names of an address. */
  namesOf(address: IpAddress): readonly string[] {
    return this.#byAddress.get(address) ?? [];
  }
}
