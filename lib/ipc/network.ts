import { EEXIST, EINVAL, ENETUNREACH, ENODEV, ENOENT, EPERM, ESRCH } from "../errno.ts";
import { ask } from "./channel.ts";
import type { NetworkRequest } from "./network_messages.ts";
import { OP, ProtocolRecord } from "./protocol.ts";
import { errnoError } from "./errors.ts";

/** What ip(8)'s errors mean, in words. */
const REASONS = new Map<number, string>([
  [EPERM, "only root and the user who runs the daemon may change the network; ask them, or run it with sudo"],
  [EEXIST, "it is there already (replace does not mind)"],
  [ENOENT, "there is none such (add makes one)"],
  [ESRCH, "there is no such route; lvl-ip route shows those there are"],
  [ENODEV, "there is no such interface; lvl-ip addr shows those there are"],
  [ENETUNREACH, "no route leads there, or the gateway is on no link of the stack"],
  [EINVAL, "the address, network or value cannot be"],
]);

/**
 * Shows or changes the interfaces, addresses, routes and neighbors of a running stack; the answer is what `ip -j` would
 * print. `what` begins the message of the error, which has errno's name in `code`: EPERM, EEXIST, ENOENT, ESRCH, ENODEV,
 * ENETUNREACH, EINVAL, EADDRNOTAVAIL.
 *
 * @example
 * ```ts ignore
 * await network({ verb: "add", object: "address", local: "10.0.0.9/24", dev: "tap0" }, "Cannot add 10.0.0.9");
 * ```
 */
export async function network<T>(
  request: NetworkRequest,
  what: string,
  options: { socketPath?: string } = {},
): Promise<T[]> {
  const text = new TextEncoder().encode(JSON.stringify(request));
  const record = new ProtocolRecord().reset(OP.network);
  record.length = text.length;
  try {
    const answer = await ask(record, what, { socketPath: options.socketPath }, text);
    return JSON.parse(new TextDecoder().decode(answer));
  } catch (error) {
    const why = REASONS.get(record.errno);
    throw why === undefined ? error : errnoError(record.errno, what, why);
  }
}
