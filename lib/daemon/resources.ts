import { hasAnyCapability } from "../../ffi/capabilities.ts";
import { SysError } from "../../ffi/errno.ts";
import { dropCapabilitiesByExec, takeInherited } from "../../ffi/handover.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { closeDescriptor } from "../../ffi/libc.ts";
import { openTap, type TapDevice, TapError } from "../../ffi/tap.ts";
import { CommandError } from "../cli/errors.ts";
import { EACCES, EPERM } from "../errno.ts";
import { formatIp } from "../wire/address.ts";
import { openCaptureFile } from "./capture_file.ts";
import type { DaemonConfig } from "./config.ts";
import { becomeCaller } from "./privileges.ts";
import { bindSocket, type DaemonSocket, inheritSocket, type SocketState } from "./socket.ts";

/** What the daemon works with, opened while it was allowed to. */
export interface Resources {
  tapFd: number;
  tapName: string;
  socket: DaemonSocket;
  /** -1: no capture. */
  captureFd: number;
}

/** How a second start, after the privileges went, learns what the first one did. */
const STATE_VARIABLE = "LVLIP_DAEMON_STATE";

/**
 * Opens TAP, capture file and socket, and gives the TAP's host side its address. On the way it gives up every
 * capability in every thread, which may take a second start of this program: the call that returns is then the one of
 * that start. `loaded` is awaited before files may become unreadable.
 *
 * Throws `CommandError`, with nothing left behind.
 */
export async function acquire(config: DaemonConfig, loaded: () => Promise<void>): Promise<Resources> {
  const inherited = takeInherited();
  if (inherited !== null && inherited.has("tap")) return resume(config, inherited);
  refuseOwnAddress(config.address);
  const tap = openDevice(config);
  let captureFd = -1;
  let socket: DaemonSocket | null = null;
  try {
    if (config.pcap !== undefined) captureFd = openCaptureFile(config.pcap);
    const isFree = !hasAnyCapability() || await becomeCaller(config.socket, loaded);
    socket = bindSocket(config.socket);
    if (!isFree) startAnew(tap, socket, captureFd);
    return { tapFd: tap.fd, tapName: tap.name, socket, captureFd };
  } catch (error) {
    socket?.close();
    if (captureFd >= 0) closeDescriptor(captureFd);
    tap.close();
    throw error;
  }
}

/** The kernel would keep what is for its own addresses to itself, and answer no ARP request that comes from one. */
function refuseOwnAddress(address: number): void {
  const shown = formatIp(address);
  const holder = Deno.networkInterfaces().find((each) => each.address === shown);
  if (holder === undefined) return;
  throw new CommandError(
    `${shown} is an address of this host already, on ${holder.name}`,
    `choose another for the stack with --addr, or take it away: ip addr del ${holder.cidr} dev ${holder.name}`,
  );
}

/** Starts this program again without a capability; `resume` goes on from there. */
function startAnew(tap: TapDevice, socket: DaemonSocket, captureFd: number): never {
  const descriptors: Record<string, number> = { tap: tap.fd, socket: socket.listener.fd };
  if (socket.abstract !== null) descriptors.abstract = socket.abstract.fd;
  if (captureFd >= 0) descriptors.capture = captureFd;
  const state: SocketState = { path: socket.path, madeFolder: socket.madeFolder };
  dropCapabilitiesByExec({ descriptors, env: { [STATE_VARIABLE]: JSON.stringify(state) } });
}

function resume(config: DaemonConfig, inherited: Map<string, number>): Resources {
  const state: SocketState = JSON.parse(Deno.env.get(STATE_VARIABLE) ?? "{}");
  Deno.env.delete(STATE_VARIABLE);
  return {
    tapFd: inherited.get("tap")!,
    tapName: config.tap,
    socket: inheritSocket(state, inherited.get("socket")!, inherited.get("abstract")),
    captureFd: inherited.get("capture") ?? -1,
  };
}

function openDevice(config: DaemonConfig): TapDevice {
  let tap: TapDevice;
  try {
    // An impaired device loses single packets: it must not be given merged ones.
    tap = openTap({ name: config.tap, vnetHeader: config.impair === undefined, mtu: config.mtu });
  } catch (error) {
    if (!(error instanceof TapError)) throw error;
    throw new CommandError(error.message, error.reason === "busy" ? mendBusy(config) : undefined);
  }
  try {
    setUpHostSide(config, tap.name);
    return tap;
  } catch (error) {
    tap.close();
    throw error;
  }
}

function mendBusy(config: DaemonConfig): string {
  const other = config.tap === "tap1" ? "tap2" : "tap1";
  return "stop that program (a daemon of lvl-ip?), or run a second one apart from it: " +
    `lvl-ip daemon --tap ${other} --addr 10.0.1.4/24 --gateway 10.0.1.5 --socket PATH`;
}

/** Gives the kernel's side of the TAP the gateway's address, unless all is as it should be (after `setup-net`). */
function setUpHostSide(config: DaemonConfig, name: string): void {
  const { gateway: address, prefixLength, mtu } = config;
  const link = readInterface(name);
  const hasAddress = link?.addresses.some((each) =>
    each.address === address && each.prefixLength === prefixLength
  );
  const hasMtu = mtu === undefined || link?.mtu === mtu;
  if (link?.up && hasAddress && hasMtu) return;
  try {
    configureInterface(name, {
      address: hasAddress ? undefined : { address, prefixLength },
      mtu: hasMtu ? undefined : mtu,
      up: true,
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno !== EPERM && error.errno !== EACCES) throw new CommandError(error.message);
    const shown = `${formatIp(address)}/${prefixLength}`;
    throw new CommandError(
      `Cannot give ${name} the address ${shown}: only root can`,
      `run once: sudo lvl-ip setup-net --iface IFACE --tap ${name} --gateway ${shown}`,
    );
  }
}
