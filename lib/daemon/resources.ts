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
import type { InterfaceSetup } from "./interface_config.ts";
import { becomeCaller } from "./privileges.ts";
import { STATE_VARIABLE } from "./second_start.ts";
import { bindSocket, type DaemonSocket, inheritSocket, type SocketState } from "./socket.ts";

/** What the daemon works with, opened while it was allowed to. */
export interface Resources {
  /** In the order of the configuration's interfaces. */
  tapFds: number[];
  socket: DaemonSocket;
  /** -1: no capture. */
  captureFd: number;
}

/**
 * Opens TAP, capture file and socket, and gives the TAP's host side its address. On the way it gives up every
 * capability in every thread, which may take a second start of this program: the call that returns is then the one of
 * that start. `loaded` is awaited before files may become unreadable.
 *
 * Throws `CommandError`, with nothing left behind.
 */
export async function acquire(config: DaemonConfig, loaded: () => Promise<void>): Promise<Resources> {
  const inherited = takeInherited();
  if (inherited !== null && inherited.has(tapDescriptor(0))) return resume(config, inherited);
  const taps = openTaps(config);
  let captureFd = -1;
  let socket: DaemonSocket | null = null;
  try {
    if (config.pcap !== undefined) captureFd = openCaptureFile(config.pcap);
    const isFree = !hasAnyCapability() || await becomeCaller(config.socket, loaded);
    socket = bindSocket(config.socket);
    if (!isFree) startAnew(taps, socket, captureFd);
    return { tapFds: taps.map(({ fd }) => fd), socket, captureFd };
  } catch (error) {
    socket?.close();
    if (captureFd >= 0) closeDescriptor(captureFd);
    for (const tap of taps) tap.close();
    throw error;
  }
}

/** The TAPs of the configuration, each with its host side set up. Throws `CommandError`, with none left open. */
export function openTaps(config: DaemonConfig): TapDevice[] {
  for (const { address } of config.interfaces) refuseOwnAddress(address);
  const taps: TapDevice[] = [];
  try {
    // An impaired device loses single packets: it must not be given merged ones.
    const offload = config.offload && config.impair === undefined;
    for (const setup of config.interfaces) taps.push(openDevice(setup, offload));
    return taps;
  } catch (error) {
    for (const tap of taps) tap.close();
    throw error;
  }
}

/** What a TAP is called where descriptors are handed over. */
function tapDescriptor(index: number): string {
  return `tap${index}`;
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
function startAnew(taps: TapDevice[], socket: DaemonSocket, captureFd: number): never {
  const descriptors: Record<string, number> = { socket: socket.listener.fd };
  taps.forEach(({ fd }, index) => descriptors[tapDescriptor(index)] = fd);
  if (socket.abstract !== null) descriptors.abstract = socket.abstract.fd;
  if (captureFd >= 0) descriptors.capture = captureFd;
  const state: SocketState = { path: socket.path, madeFolder: socket.madeFolder };
  dropCapabilitiesByExec({ descriptors, env: { [STATE_VARIABLE]: JSON.stringify(state) } });
}

function resume(config: DaemonConfig, inherited: Map<string, number>): Resources {
  const state: SocketState = JSON.parse(Deno.env.get(STATE_VARIABLE) ?? "{}");
  Deno.env.delete(STATE_VARIABLE);
  return {
    tapFds: config.interfaces.map((_, index) => inherited.get(tapDescriptor(index))!),
    socket: inheritSocket(state, inherited.get("socket")!, inherited.get("abstract")),
    captureFd: inherited.get("capture") ?? -1,
  };
}

function openDevice(setup: InterfaceSetup, offload: boolean): TapDevice {
  let tap: TapDevice;
  try {
    tap = openTap({ name: setup.tap, vnetHeader: offload, mtu: setup.mtu });
  } catch (error) {
    if (!(error instanceof TapError)) throw error;
    throw new CommandError(error.message, error.reason === "busy" ? mendBusy(setup) : undefined);
  }
  try {
    setUpHostSide(setup, tap.name);
    return tap;
  } catch (error) {
    tap.close();
    throw error;
  }
}

function mendBusy(setup: InterfaceSetup): string {
  const other = setup.tap === "tap1" ? "tap2" : "tap1";
  return "stop that program (a daemon of lvl-ip?), or run a second one apart from it: " +
    `lvl-ip daemon --tap ${other} --addr 10.0.1.4/24 --gateway 10.0.1.5 --socket PATH`;
}

/** Gives the kernel's side of the TAP its address, unless all is as it should be (after `setup-net`). */
function setUpHostSide(setup: InterfaceSetup, name: string): void {
  const { hostAddress: address, prefixLength, mtu } = setup;
  const link = readInterface(name);
  const hasAddress = address === 0 ||
    link?.addresses.some((each) => each.address === address && each.prefixLength === prefixLength);
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
      address === 0
        ? `Cannot set ${name} up: only root can`
        : `Cannot give ${name} the address ${shown}: only root can`,
      address === 0
        ? `run once: sudo ip link set ${name} up`
        : `run once: sudo lvl-ip setup-net --iface IFACE --tap ${name} --gateway ${shown}`,
    );
  }
}
