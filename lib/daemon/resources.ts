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
 * Opens socket, TAP and capture file, and gives the TAP's host side its address. Then gives up every capability in
 * every thread, which takes a second start of this program: the call that returns is the one of that start.
 *
 * Throws `CommandError`, with nothing left behind.
 */
export function acquire(config: DaemonConfig): Resources {
  const inherited = takeInherited();
  if (inherited !== null && inherited.has("tap")) return resume(config, inherited);
  const socket = bindSocket(config.socket);
  let tap: TapDevice | null = null;
  let captureFd = -1;
  try {
    tap = openDevice(config);
    if (config.pcap !== undefined) captureFd = openCaptureFile(config.pcap);
    if (!hasAnyCapability()) return { tapFd: tap.fd, tapName: tap.name, socket, captureFd };
    const descriptors: Record<string, number> = { tap: tap.fd, socket: socket.listener.fd };
    if (socket.abstract !== null) descriptors.abstract = socket.abstract.fd;
    if (captureFd >= 0) descriptors.capture = captureFd;
    const state: SocketState = { path: socket.path, madeFolder: socket.madeFolder };
    dropCapabilitiesByExec({ descriptors, env: { [STATE_VARIABLE]: JSON.stringify(state) } });
  } catch (error) {
    tap?.close();
    if (captureFd >= 0) closeDescriptor(captureFd);
    socket.close();
    throw error;
  }
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
  return `stop that program, or choose another TAP and socket: lvl-ip daemon --tap ${other} --socket PATH`;
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
