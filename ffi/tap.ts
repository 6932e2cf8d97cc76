import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, EPERM } from "../lib/errno.ts";
import { ENAMETOOLONG, ENXIO, errnoText, SysError } from "./errno.ts";
import { InterfaceRequest, isInterfaceName } from "./interface_request.ts";
import { closeDescriptor, errno, libc, O_CLOEXEC, O_NONBLOCK, O_RDWR } from "./libc.ts";
import { cString } from "./memory.ts";
import { TapDevice, type TapDeviceOptions } from "./tap_device.ts";

export { type TapCounters, TapDevice, type TapDeviceOptions } from "./tap_device.ts";

const TUN_NODE = "/dev/net/tun";
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

/** Why a TAP could not be had. */
export type TapErrorReason =
  /** /dev/net/tun does not exist. */
  | "no-node"
  /** The kernel has no TUN driver. */
  | "no-driver"
  /** This user may not open /dev/net/tun, or neither owns the interface nor may make one. */
  | "permission"
  /** Another program has the interface open. */
  | "busy"
  /** No interface can have that name. */
  | "name"
  /** An interface of that name exists and is no TAP. */
  | "not-a-tap"
  | "other";

/** A TAP that could not be opened; the message is one sentence with the reason and, where there is one, the remedy. */
export class TapError extends SysError {
  readonly reason: TapErrorReason;

  constructor(call: string, errno: number, reason: TapErrorReason, message: string) {
    super(call, errno, message);
    this.reason = reason;
  }
}

export interface OpenTapOptions extends TapDeviceOptions {
  /** 1 to 15 bytes; "tap%d" lets the kernel choose the number. */
  name: string;
  /** Ask for checksum and segmentation offload, see `TapDevice.features`. Default false. */
  vnetHeader?: boolean;
}

/**
 * Opens the TAP `name`: attaches to it if it exists (a persistent one needs no privilege of its owner), else makes one
 * that disappears when it is closed. The kernel's side is not set up by this (`ip link set tap8 up`, and an address).
 *
 * Throws `TapError`.
 *
 * @example A stack on a TAP in a loop of one's own; for a host that is ready to use see `Host`
 * ```ts
 * import { Frame, openTap, Stack } from "@lvl-ip/lvl-ip";
 *
 * const tap = openTap({ name: "tap8" });
 * const stack = new Stack({
 *   mac: 0x02000a000804,
 *   mtu: tap.mtu,
 *   addresses: [{ address: 0x0a000804, prefixLength: 24 }],
 *   secret: crypto.getRandomValues(new Uint32Array(4)),
 *   random: () => crypto.getRandomValues(new Uint32Array(1))[0],
 *   features: tap.features,
 * });
 * const [input, output] = [new Frame(), new Frame()];
 *
 * // Whenever tap.fd is readable, stack.deadline has come, or a call was made into the stack.
 * function turn(now: number) {
 *   while (tap.receive(input, now)) stack.input(input, now);
 *   stack.advance(now);
 *   while (stack.transmit(output, now)) tap.send(output, now);
 * }
 * turn(Math.round(performance.now() * 1000));
 * console.assert(stack.counters.framesOut > 0); // it has announced its address by ARP
 * tap.close();
 * ```
 */
export function openTap(options: OpenTapOptions): TapDevice {
  const { name } = options;
  if (!isInterfaceName(name)) {
    const shown = JSON.stringify(name);
    throw new TapError(
      "ioctl",
      ENAMETOOLONG,
      "name",
      `Cannot open TAP ${shown}: a name has 1 to 15 bytes, no white space, "/" or ":"`,
    );
  }
  const fd = libc().open(cString(TUN_NODE).bytes, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) throw nodeError(name, errno());
  const request = new InterfaceRequest(name);
  request.flags = IFF_TAP | IFF_NO_PI | (options.vnetHeader ? IFF_VNET_HDR : 0);
  if (libc().ioctl(fd, TUNSETIFF, request.bytes) < 0) {
    const error = attachError(name, errno());
    closeDescriptor(fd);
    throw error;
  }
  try {
    return TapDevice.fromFd(fd, options);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function nodeError(name: string, error: number): TapError {
  const [reason, why]: [TapErrorReason, string] = error === ENOENT
    ? ["no-node", `${TUN_NODE} does not exist: lvl-ip setup-net makes it`]
    : error === ENODEV || error === ENXIO
    ? ["no-driver", "the kernel has no TUN driver: try modprobe tun as root"]
    : error === EACCES || error === EPERM
    ? ["permission", `this user may not open ${TUN_NODE}: try chmod 0666 ${TUN_NODE} as root`]
    : ["other", errnoText(error)];
  return new TapError("open", error, reason, `Cannot open TAP ${name}: ${why}`);
}

function attachError(name: string, error: number): TapError {
  const [reason, why]: [TapErrorReason, string] = error === EPERM || error === EACCES
    ? ["permission", "it is not this user's, and only root can make one: lvl-ip setup-net makes one for you"]
    : error === EBUSY
    ? ["busy", "another program has it open"]
    : error === EINVAL
    ? ["not-a-tap", "an interface of that name exists and is no TAP with a single queue"]
    : ["other", errnoText(error)];
  return new TapError("ioctl", error, reason, `Cannot open TAP ${name}: ${why}`);
}
