import { ENODEV } from "../lib/errno.ts";
import { errnoText, SysError } from "./errno.ts";
import { InterfaceRequest, isInterfaceName, REQUEST_VALUE } from "./interface_request.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC } from "./libc.ts";
import { attributes, change, dump } from "./netlink.ts";

export { isInterfaceName } from "./interface_request.ts";

const AF_INET = 2;
const SOCK_DGRAM = 2;
const ARPHRD_ETHER = 1;

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCSIFHWADDR = 0x8924;

const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_GETADDR = 22;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_TUN_OWNER = 1;
const IFLA_TUN_GROUP = 2;
const IFLA_TUN_TYPE = 3;
const IFLA_TUN_PERSIST = 6;
const TUN_TYPE_TAP = 2;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;

/** What is special about an interface made by the TUN driver. */
export interface TunInfo {
  kind: "tap" | "tun";
  persistent: boolean;
  /** The uid, or gid, that may attach without privilege; null if none was set. */
  owner: number | null;
  group: number | null;
}

export interface InterfaceInfo {
  name: string;
  index: number;
  up: boolean;
  /** Up, and something is at the other end: for a TAP, a program has it open. */
  running: boolean;
  loopback: boolean;
  mtu: number;
  /** 48 bits; 0 if the interface has none. */
  mac: number;
  /** IPv4 addresses: int32 as everywhere in the stack, 192.168.0.1 being 0xC0A80001 | 0. */
  addresses: { address: number; prefixLength: number }[];
  /** null for an interface that is neither TAP nor TUN. */
  tun: TunInfo | null;
}

/** What is to be changed; the rest stays as it is. */
export interface InterfaceSettings {
  /** The interface's own (primary) IPv4 address, int32, with its network's prefix length. */
  address?: { address: number; prefixLength: number };
  /** Largest IP packet, bytes. */
  mtu?: number;
  mac?: number;
  up?: boolean;
  /** Frames that wait for a TAP's program before further ones are lost; 1000 unless set. */
  queueLength?: number;
}

/** All interfaces of this network namespace. Needs no privilege. Throws `SysError`. */
export function readInterfaces(): InterfaceInfo[] {
  const found = new Map<number, InterfaceInfo>();
  dump(RTM_GETLINK, (view, start, end) => {
    const link = parseLink(view, start, end);
    found.set(link.index, link);
  });
  dump(RTM_GETADDR, (view, start, end) => {
    // struct ifaddrmsg { uint8 family, prefixlen, flags, scope; uint32 index; }
    if (view.getUint8(start) !== AF_INET) return;
    const addresses = found.get(view.getUint32(start + 4, true))?.addresses;
    let address: number | undefined;
    attributes(view, start + 8, end, (type, at) => {
      // On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is always ours, but may be missing.
      if (type === IFA_LOCAL || (type === IFA_ADDRESS && address === undefined)) address = view.getInt32(at);
    });
    if (address !== undefined) addresses?.push({ address, prefixLength: view.getUint8(start + 1) });
  });
  return [...found.values()];
}

/** The interface of that name in this network namespace; null if there is none. Throws `SysError`. */
export function readInterface(name: string): InterfaceInfo | null {
  return readInterfaces().find((link) => link.name === name) ?? null;
}

/** The MTU in bytes. Throws `SysError` (ENODEV). */
export function readMtu(name: string): number {
  return withSocket((fd) => {
    const request = new InterfaceRequest(name);
    ask(fd, SIOCGIFMTU, request, "read the MTU of");
    return request.value;
  });
}

/**
 * Sets up the kernel's side of an interface. An address replaces the one that was there. Needs CAP_NET_ADMIN, the owner
 * of a TAP included. Throws `SysError` (EPERM; ENODEV; EINVAL for an MTU out of range), `RangeError` for a prefix length
 * outside 0 to 32.
 */
export function configureInterface(name: string, settings: InterfaceSettings): void {
  if (!isInterfaceName(name)) throw new SysError("ioctl", ENODEV);
  withSocket((fd) => {
    const { mac, mtu, queueLength, address, up } = settings;
    if (mac !== undefined) setMac(fd, name, mac);
    if (mtu !== undefined) setMtu(fd, name, mtu);
    if (queueLength !== undefined) setQueueLength(name, queueLength);
    if (address !== undefined) setAddress(fd, name, address.address, address.prefixLength);
    if (up !== undefined) setUp(fd, name, up);
  });
}

function withSocket<T>(use: (fd: number) => T): T {
  const fd = check("socket", libc().socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0));
  try {
    return use(fd);
  } finally {
    closeDescriptor(fd);
  }
}

function ask(fd: number, command: number, request: InterfaceRequest, what: string): void {
  if (libc().ioctl(fd, command, request.bytes) < 0) {
    const error = errno();
    throw new SysError("ioctl", error, `Cannot ${what} ${request.name}: ${errnoText(error)}`);
  }
}

function setMtu(fd: number, name: string, mtu: number): void {
  const request = new InterfaceRequest(name);
  request.value = mtu;
  ask(fd, SIOCSIFMTU, request, `set the MTU of ${mtu} bytes on`);
}

/** By netlink: the ioctl wants the privilege of the machine's root, and not only that of the namespace's. */
function setQueueLength(name: string, length: number): void {
  const index = readInterface(name)?.index;
  if (index === undefined) {
    throw new SysError("send", ENODEV, `Cannot set the queue length of ${name}: ${errnoText(ENODEV)}`);
  }
  // struct ifinfomsg, and one attribute { uint16 length, type; uint32 value }
  const body = new DataView(new ArrayBuffer(24));
  body.setInt32(4, index, true);
  body.setUint16(16, 8, true);
  body.setUint16(18, IFLA_TXQLEN, true);
  body.setUint32(20, length, true);
  change(RTM_SETLINK, new Uint8Array(body.buffer));
}

function setMac(fd: number, name: string, mac: number): void {
  const request = new InterfaceRequest(name);
  request.view.setUint16(REQUEST_VALUE, ARPHRD_ETHER, true);
  request.view.setUint16(REQUEST_VALUE + 2, Math.floor(mac / 4294967296));
  request.view.setUint32(REQUEST_VALUE + 4, mac % 4294967296);
  ask(fd, SIOCSIFHWADDR, request, "set the MAC address of");
}

function setAddress(fd: number, name: string, address: number, prefixLength: number): void {
  if (!(prefixLength >= 0 && prefixLength <= 32)) {
    throw new RangeError(
      `Cannot set the address of ${name}: prefix length must be 0 to 32: current value is ${prefixLength}`,
    );
  }
  // JavaScript shifts by 32 as by 0
  const mask = prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
  const request = new InterfaceRequest(name);
  // struct sockaddr_in { uint16 family, port; uint32 address }
  request.view.setUint16(REQUEST_VALUE, AF_INET, true);
  request.view.setInt32(REQUEST_VALUE + 4, address);
  ask(fd, SIOCSIFADDR, request, "set the address of");
  // The address came with the mask of its historic class; the broadcast address follows the mask.
  request.view.setInt32(REQUEST_VALUE + 4, mask);
  ask(fd, SIOCSIFNETMASK, request, "set the network mask of");
}

function setUp(fd: number, name: string, up: boolean): void {
  const request = new InterfaceRequest(name);
  ask(fd, SIOCGIFFLAGS, request, "read the flags of");
  request.flags = up ? request.flags | IFF_UP : request.flags & ~IFF_UP;
  ask(fd, SIOCSIFFLAGS, request, up ? "bring up" : "take down");
}

function parseLink(view: DataView, start: number, end: number): InterfaceInfo {
  // struct ifinfomsg { uint8 family; uint16 type at 2; int32 index; uint32 flags, change }
  const flags = view.getUint32(start + 8, true);
  const info: InterfaceInfo = {
    name: "",
    index: view.getInt32(start + 4, true),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    mtu: 0,
    mac: 0,
    addresses: [],
    tun: null,
  };
  attributes(view, start + 16, end, (type, at, to) => {
    if (type === IFLA_IFNAME) info.name = textOf(view, at, to);
    else if (type === IFLA_MTU) info.mtu = view.getUint32(at, true);
    else if (type === IFLA_ADDRESS && to - at === 6) {
      info.mac = view.getUint16(at) * 4294967296 + view.getUint32(at + 2);
    } else if (type === IFLA_LINKINFO) info.tun = parseTun(view, at, to);
  });
  return info;
}

function parseTun(view: DataView, start: number, end: number): TunInfo | null {
  const tun: TunInfo = { kind: "tun", persistent: false, owner: null, group: null };
  let isTun = false;
  attributes(view, start, end, (type, at, to) => {
    if (type === IFLA_INFO_KIND) isTun = textOf(view, at, to) === "tun";
    if (type !== IFLA_INFO_DATA || !isTun) return; // the kind comes first
    attributes(view, at, to, (field, from) => {
      if (field === IFLA_TUN_OWNER) tun.owner = view.getUint32(from, true);
      else if (field === IFLA_TUN_GROUP) tun.group = view.getUint32(from, true);
      else if (field === IFLA_TUN_PERSIST) tun.persistent = view.getUint8(from) !== 0;
      else if (field === IFLA_TUN_TYPE) tun.kind = view.getUint8(from) === TUN_TYPE_TAP ? "tap" : "tun";
    });
  });
  return isTun ? tun : null;
}

/** A zero-terminated attribute. */
function textOf(view: DataView, start: number, end: number): string {
  return new TextDecoder().decode(new Uint8Array(view.buffer, start, end - start)).replace(/\0+$/, "");
}
