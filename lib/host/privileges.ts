/** What this process may do. */
import { HostError } from "./command.ts";
import { asRoot } from "./self.ts";

/** capability(7) numbers. */
export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;
export const CAP_MKNOD = 27;

/** Whether this process holds a capability, in its own user namespace. */
export function hasCapability(capability: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"));
  return effective !== null && ((BigInt(`0x${effective[1]}`) >> BigInt(capability)) & 1n) === 1n;
}

/** Throws a {@linkcode HostError} with the sudo command if this process may not set up networks. */
export function requireNetworkAdmin(what: string, args: readonly string[]): void {
  if (hasCapability(CAP_NET_ADMIN)) return;
  if (Deno.uid() !== 0) throw new HostError(`${what} needs root`, asRoot(args));
  throw new HostError(
    `${what} needs the capability NET_ADMIN, which this container does not have; start it with`,
    "docker run --cap-add=NET_ADMIN --device=/dev/net/tun",
  );
}

/** The user on whose behalf this runs: the one who called sudo or pkexec, else this process's own. */
export function callingUser(): number {
  if (Deno.uid() === 0) {
    for (const name of ["SUDO_UID", "PKEXEC_UID", "DOAS_UID"]) {
      const uid = Deno.env.get(name);
      if (uid !== undefined && /^[0-9]+$/.test(uid)) return Number(uid);
    }
  }
  return Deno.uid() ?? 0;
}
