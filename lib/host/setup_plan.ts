/** What setup-net has to do: a pure function of how the host is and how it should be. */
import { HostError } from "./command.ts";
import type { IptablesRule, NftRule } from "./firewall.ts";
import { type Cidr, type Link, overlaps, readCidr } from "./links.ts";
import { mayOpen, TUN_NODE, type TunNode } from "./tun_node.ts";

/** What was added to the host, so that it can be taken back. */
export type SetupRecord =
  | { kind: "tun-node"; madeFolder: boolean }
  | { kind: "tun-mode"; earlier: number }
  | { kind: "tap"; tap: string }
  | { kind: "address"; tap: string; address: string }
  | { kind: "link-up"; tap: string }
  | { kind: "ip-forward"; earlier: string }
  | { kind: "iptables"; rule: IptablesRule }
  | { kind: "nft-table" }
  | { kind: "nft-rule"; chain: NftRule["chain"]; rule: string };

/** One thing to do. */
export interface Step {
  /** For a person. */
  what: string;
  commands: string[][];
  record: SetupRecord;
}

/** What is wanted. */
export interface SetupWish {
  iface: string;
  tap: string;
  gateway: Cidr;
  owner: Owner;
}

/** Whose the TAP shall be. */
export interface Owner {
  uid: number;
  name: string;
  groups: number[];
}

/** How the host is. */
export interface HostFacts {
  tunNode: TunNode;
  links: Link[];
  /** What /proc/sys/net/ipv4/ip_forward holds. */
  ipForward: string;
  /** Whether sysctl(8) is there. */
  sysctl: boolean;
}

const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

/** Throws a {@linkcode HostError} if the wish cannot come true on this host. */
export function checkWish(wish: SetupWish, facts: HostFacts): void {
  if (!INTERFACE_NAME.test(wish.tap)) {
    throw new HostError(
      `--tap must be an interface name of at most 15 letters: current value is ${wish.tap}`,
    );
  }
  const names = facts.links.map((link) => link.name).filter((name) => name !== "lo" && name !== wish.tap);
  if (!facts.links.some((link) => link.name === wish.iface)) {
    throw new HostError(`There is no interface ${wish.iface}; this host has ${names.join(", ") || "none"}`);
  }
  if (wish.iface === wish.tap) throw new HostError(`--iface and --tap are both ${wish.tap}`);
  for (const link of facts.links) {
    if (link.name === wish.tap) continue;
    const clash = link.addresses.find((address) => overlaps(readCidr(address, link.name), wish.gateway));
    if (clash === undefined) continue;
    throw new HostError(
      `${wish.gateway.text} lies in the network of ${link.name} (${clash}); choose another`,
      "--gateway 10.99.0.5/24",
    );
  }
  checkTap(wish, facts.links.find((link) => link.name === wish.tap));
}

function checkTap({ tap, owner }: SetupWish, link: Link | undefined): void {
  if (link === undefined) return;
  if (link.tun?.type !== "tap") {
    throw new HostError(`${tap} exists and is no TAP device; choose another name`, "--tap tap1");
  }
  if (!link.tun.persistent) {
    throw new HostError(`${tap} belongs to a running program and goes away with it; end that first`);
  }
  // Without an owner anyone who may open /dev/net/tun and holds NET_ADMIN can use it: root can.
  const theirs = link.tun.user === null
    ? owner.uid === 0
    : [owner.name, `${owner.uid}`].includes(link.tun.user);
  if (!theirs && owner.uid !== 0) {
    throw new HostError(
      `${tap} exists and belongs to ${
        link.tun.user ?? "no user"
      }, not to ${owner.name}; remove it or name another`,
      `ip link del ${tap}`,
    );
  }
}

/** The steps before the firewall's. */
export function planDevice(wish: SetupWish, facts: HostFacts): Step[] {
  return [...planNode(wish, facts), ...planTap(wish, facts), ...planForwarding(facts)];
}

function planNode({ owner }: SetupWish, { tunNode: { folder, node } }: HostFacts): Step[] {
  if (node === null) {
    return [{
      what: `device node ${TUN_NODE}`,
      commands: [
        ...(folder ? [] : [["mkdir", "-p", "-m", "755", "/dev/net"]]),
        ["mknod", "-m", "666", TUN_NODE, "c", "10", "200"],
      ],
      record: { kind: "tun-node", madeFolder: !folder },
    }];
  }
  if (mayOpen(node, owner.uid, owner.groups)) return [];
  return [{
    what: `${TUN_NODE} for every user (each TAP still has its owner)`,
    commands: [["chmod", "666", TUN_NODE]],
    record: { kind: "tun-mode", earlier: node.mode },
  }];
}

function planTap({ tap, gateway, owner }: SetupWish, { links }: HostFacts): Step[] {
  const link = links.find((link) => link.name === tap);
  const addAddress = ["ip", "addr", "add", gateway.text, "dev", tap];
  const setUp = ["ip", "link", "set", "dev", tap, "up"];
  if (link === undefined) {
    return [{
      what: `persistent TAP ${tap} of user ${owner.name}, with ${gateway.text}`,
      commands: [
        ["ip", "tuntap", "add", "dev", tap, "mode", "tap", "user", `${owner.uid}`],
        addAddress,
        setUp,
      ],
      record: { kind: "tap", tap },
    }];
  }
  const steps: Step[] = [];
  if (!link.addresses.includes(gateway.text)) {
    steps.push({
      what: `address ${gateway.text} on ${tap}`,
      commands: [addAddress],
      record: { kind: "address", tap, address: gateway.text },
    });
  }
  if (!link.up) steps.push({ what: `${tap} up`, commands: [setUp], record: { kind: "link-up", tap } });
  return steps;
}

function planForwarding({ ipForward, sysctl }: HostFacts): Step[] {
  if (ipForward === "1") return [];
  return [{
    what: "IPv4 forwarding",
    commands: [forwardingCommand("1", sysctl)],
    record: { kind: "ip-forward", earlier: ipForward },
  }];
}

/** Sets ip_forward, by sysctl(8) where the host has it. */
export function forwardingCommand(value: string, sysctl: boolean): string[] {
  return sysctl
    ? ["sysctl", "-q", "-w", `net.ipv4.ip_forward=${value}`]
    : ["sh", "-c", `echo ${value} > /proc/sys/net/ipv4/ip_forward`];
}
