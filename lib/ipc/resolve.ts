import { Outcome, Reason, RecordType } from "../resolver/types.ts";
import { formatIp, parseIp } from "../wire/address.ts";
import { ask } from "./channel.ts";
import { FLAG_FROM_CACHE, FLAG_FROM_HOST, MAX_NAME, OP, ProtocolRecord } from "./protocol.ts";

export interface ResolveOptions {
  /** The daemon's socket, if it is not at one of the usual places. */
  socketPath?: string;
  /** Gives up, and lets the promise reject with the signal's reason. */
  signal?: AbortSignal;
}

export interface LookUpOptions extends ResolveOptions {
  /** What is asked for: addresses ("A"), or the names of an address ("PTR"). The stack has no IPv6: "AAAA" finds none. */
  type?: "A" | "AAAA" | "PTR";
  /** The daemon forgets all answers that it has kept, before. */
  flush?: boolean;
}

/** What the daemon's resolver answered. */
export interface LookUp {
  /** Of A. */
  addresses: string[];
  /** Of A: the name asked for, every alias on the way, and the canonical one last. Of PTR: the host's names. */
  names: string[];
  /** Seconds that the answer stays true; 0 for what no server said. */
  ttl: number;
  /** Who said so: a name server, "host" (the name is an address, localhost or in /etc/hosts). */
  server: string;
  /** The server's answer was kept from another look-up. */
  cached: boolean;
}

/**
 * A name was not found. `code` is getaddrinfo(3)'s: EAI_NONAME (there is no such name), EAI_NODATA (it has no such
 * record), EAI_AGAIN (no server could tell now) or EAI_FAIL.
 */
export class NameError extends Deno.errors.NotFound {
  override readonly name = "NameError";

  constructor(message: string, readonly code: string) {
    super(message);
  }
}

/**
 * The addresses of `name`: a numeric IPv4 address as it stands; else /etc/hosts, then the name servers that the daemon
 * knows. Throws `NameError` when there are none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * assertEquals(await resolve("192.0.2.1"), ["192.0.2.1"]);
 * ```
 */
export async function resolve(name: string, options: ResolveOptions = {}): Promise<string[]> {
  if (parseIp(name) !== null) return [name];
  return (await lookUp(name, options)).addresses;
}

/** All that the daemon's resolver knows of `name`, or of an address for type "PTR". Throws `NameError`. */
export async function lookUp(name: string, options: LookUpOptions = {}): Promise<LookUp> {
  const { type = "A", flush = false } = options;
  const what = `Cannot resolve ${name}`;
  const bytes = new TextEncoder().encode(name);
  const record = new ProtocolRecord().reset(OP.resolve);
  const address = type === "PTR" ? parseIp(name) : null;
  if (address !== null) record.remote.set(address, 0);
  else if (bytes.length === 0 || bytes.length > MAX_NAME) throw nameError(what, noName(Reason.badName), type);
  else record.length = bytes.length;
  record.arg0 = RecordType[type];
  record.arg1 = flush ? 1 : 0;
  const rest = await ask(record, what, options, address === null ? bytes : undefined);
  if (record.arg0 !== Outcome.found) throw nameError(what, record, type);
  const names = new TextDecoder().decode(rest.subarray(0, record.arg3)).split("\0").slice(0, -1);
  const view = new DataView(rest.buffer, rest.byteOffset + record.arg3, rest.length - record.arg3);
  const addresses = Array.from({ length: record.arg4 }, (_, i) => formatIp(view.getInt32(4 * i)));
  const isHost = (record.flags & FLAG_FROM_HOST) !== 0;
  return {
    addresses,
    names,
    ttl: record.arg2,
    server: isHost ? "host" : formatIp(record.remote.address),
    cached: (record.flags & FLAG_FROM_CACHE) !== 0,
  };
}

/** The first address of `hostname` as int32. */
export async function resolveOne(hostname: string, options: ResolveOptions): Promise<number> {
  const [first] = await resolve(hostname, options);
  return parseIp(first)!;
}

const CODES: Record<number, string> = {
  [Outcome.noName]: "EAI_NONAME",
  [Outcome.tryAgain]: "EAI_AGAIN",
  [Outcome.fail]: "EAI_FAIL",
  [Outcome.noData]: "EAI_NODATA",
};

/** RFC 1035 4.1.1. */
const RCODES: Record<number, string> = {
  [Reason.formatError]: "FORMERR",
  [Reason.serverFailure]: "SERVFAIL",
  [Reason.nxDomain]: "NXDOMAIN",
  [Reason.notImplemented]: "NOTIMP",
  [Reason.refused]: "REFUSED",
};

const OWN_REASONS: Record<number, string> = {
  [Reason.timeout]: "no name server answered (`lvl-ip status` names them)",
  [Reason.noServer]: "no name server is known that the stack can reach; start the daemon with --dns ADDRESS",
  [Reason.badName]: "that cannot be the name of a host",
  [Reason.aliasLoop]: "its aliases have no end",
  [Reason.busy]: "too many questions are under way",
};

function noName(reason: number): ProtocolRecord {
  const record = new ProtocolRecord().reset(OP.resolve);
  record.arg0 = Outcome.noName;
  record.arg1 = reason;
  return record;
}

function nameError(
  what: string,
  { arg0: outcome, arg1: reason, remote }: ProtocolRecord,
  type: string,
): NameError {
  const own = OWN_REASONS[reason];
  const server = remote.address === 0 ? "" : ` from ${formatIp(remote.address)}`;
  const rcode = RCODES[reason] ?? `RCODE ${reason}`;
  const why = own ??
    (outcome === Outcome.noName
      ? `no such name (${rcode}${server})`
      : outcome === Outcome.noData
      ? `the name has no ${type} record${server === "" ? "" : ` (answer${server})`}`
      : `the name server failed (${rcode}${server})`);
  return new NameError(`${what}: ${why}`, CODES[outcome] ?? "EAI_FAIL");
}
