import { formatIp, parseIp } from "../wire/address.ts";
import { OP, ProtocolRecord } from "./protocol.ts";
import { ask } from "./channel.ts";
import { errnoError } from "./errors.ts";
import { EINVAL, ENOENT } from "../errno.ts";
import { MAX_NAME } from "./protocol.ts";

/**
 * The addresses of `name`, in this order: a numeric IPv4 address as it stands, /etc/hosts, "localhost", then what the
 * daemon answers. Throws `Deno.errors.NotFound` when nobody knows it.
 */
export async function resolve(name: string, options: { socketPath?: string } = {}): Promise<string[]> {
  const address = parseIp(name);
  if (address !== null) return [formatIp(address)];
  const lower = name.toLowerCase().replace(/\.$/, "");
  const listed = await fromHostsFile(lower);
  if (listed.length > 0) return listed;
  if (lower === "localhost" || lower.endsWith(".localhost")) return ["127.0.0.1"];
  return await fromDaemon(name, options.socketPath);
}

async function fromHostsFile(name: string): Promise<string[]> {
  let text;
  try {
    text = await Deno.readTextFile("/etc/hosts");
  } catch {
    // No such file, or no permission to read it: it knows nothing then.
    return [];
  }
  return lookUpHosts(text, name);
}

/** The IPv4 addresses that `hosts` (the text of a hosts(5) file) has for `name`, in lower case. */
export function lookUpHosts(hosts: string, name: string): string[] {
  const found: string[] = [];
  for (const line of hosts.split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (names.some((each) => each.toLowerCase() === name) && parseIp(address) !== null) found.push(address);
  }
  return found;
}

async function fromDaemon(name: string, socketPath?: string): Promise<string[]> {
  const bytes = new TextEncoder().encode(name);
  const what = `Cannot resolve ${name}`;
  if (bytes.length === 0 || bytes.length > MAX_NAME) {
    throw errnoError(EINVAL, what, `a name is 1 to ${MAX_NAME} bytes long: current value is ${bytes.length}`);
  }
  const record = new ProtocolRecord().reset(OP.resolve);
  record.length = bytes.length;
  try {
    await ask(record, what, socketPath, bytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw errnoError(ENOENT, what, "name not known");
    throw error;
  }
  return [formatIp(record.remote.address)];
}

/** The first address of `hostname` as int32. */
export async function resolveOne(hostname: string, socketPath?: string): Promise<number> {
  const [first] = await resolve(hostname, { socketPath });
  const address = parseIp(first);
  if (address === null) throw errnoError(ENOENT, `Cannot resolve ${hostname}`, "no IPv4 address");
  return address;
}
