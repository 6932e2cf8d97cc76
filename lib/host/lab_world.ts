/**
 * The lab's small internet. The namespace we are in is the router; the TAP's host side will be here too.
 *
 * ```
 * stack 10.0.0.4 -- tap0 10.0.0.5 [router] enp0s3 10.0.2.15 -- 10.0.2.2 [isp] 8.8.8.1 ------ 8.8.8.8      [dns]
 *                                                                             192.168.99.254 -- 192.168.99.1 [server]
 * ```
 *
 * The isp knows no way to 10.0.0.0/24: without masquerade no answer comes back. It is a Linux kernel, or a second stack of
 * ours that forwards: then its ends of the cables are its TAPs, and what they lead to is their kernel's side.
 */
import { mustRun, searchPath } from "./command.ts";

export const ROUTER_INTERFACE = "enp0s3";
export const DNS_ADDRESS = "8.8.8.8";
export const SERVER_ADDRESS = "192.168.99.1";

export const SERVER_NAME = "server.lab";
export const LAB_DOMAIN = "lab";

/** What the name server knows: the address that a name leads to, and more addresses that lead back to it. */
export const NAMES: Readonly<Record<string, readonly string[]>> = {
  "lvl-ip.lab": ["10.0.0.4"],
  "router.lab": ["10.0.0.5", "10.0.2.15"],
  "isp.lab": ["10.0.2.2", "8.8.8.1", "192.168.99.254"],
  "dns.lab": [DNS_ADDRESS],
  [SERVER_NAME]: [SERVER_ADDRESS],
};

/** The namespaces beside our own. */
export const HOSTS = ["isp", "dns", "server"] as const;
export type LabHost = typeof HOSTS[number];

interface Cable {
  left: LabHost | "router";
  leftInterface: string;
  leftAddress: string;
  right: LabHost;
  rightInterface: string;
  rightAddress: string;
}

const CABLES: Cable[] = [
  cable("router", ROUTER_INTERFACE, "10.0.2.15/24", "isp", "customer0", "10.0.2.2/24"),
  cable("isp", "dns0", "8.8.8.1/24", "dns", "eth0", `${DNS_ADDRESS}/24`),
  cable("isp", "server0", "192.168.99.254/24", "server", "eth0", `${SERVER_ADDRESS}/24`),
];

function cable(
  left: Cable["left"],
  leftInterface: string,
  leftAddress: string,
  right: LabHost,
  rightInterface: string,
  rightAddress: string,
): Cable {
  return { left, leftInterface, leftAddress, right, rightInterface, rightAddress };
}

/** The commands that make the hosts. */
function hostCommands(): string[][] {
  const commands: string[][] = [["ip", "link", "set", "lo", "up"]];
  for (const host of HOSTS) {
    commands.push(["ip", "netns", "add", host], ip(host, "link", "set", "lo", "up"));
  }
  return commands;
}

/** The commands that lay cables between them, with a kernel as the isp. */
function cableCommands(): string[][] {
  const commands: string[][] = [];
  for (const { left, leftInterface, leftAddress, right, rightInterface, rightAddress } of CABLES) {
    const peer = ["type", "veth", "peer", "name", rightInterface, "netns", right];
    commands.push(
      ip(left, "link", "add", leftInterface, ...peer),
      ip(left, "addr", "add", leftAddress, "dev", leftInterface),
      ip(right, "addr", "add", rightAddress, "dev", rightInterface),
      ip(left, "link", "set", leftInterface, "up"),
      ip(right, "link", "set", rightInterface, "up"),
    );
  }
  commands.push(inside("isp", ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]));
  return commands;
}

/** The isp's ends of the cables, and where the other ends are. */
const ISP_ENDS = CABLES.map(({ left, leftInterface, leftAddress, right, rightInterface, rightAddress }) =>
  left === "isp"
    ? { tap: leftInterface, own: leftAddress, host: right, name: rightInterface, address: rightAddress }
    : { tap: rightInterface, own: rightAddress, host: left, name: leftInterface, address: leftAddress }
);

/** What `lvl-ip daemon` is told to be the isp. */
export function ispOptions(): string[] {
  const [first, ...more] = ISP_ENDS;
  return [
    ...["--tap", first.tap, "--addr", first.own, "--gateway", "none", "--forward"],
    ...more.flatMap(({ tap, own }) => ["--interface", `${tap},${own}`]),
  ];
}

/** The commands that put the other sides of the isp's TAPs where the cables would end. */
function tapCommands(): string[][] {
  return ISP_ENDS.flatMap(({ tap, host, name, address }) => [
    ip("isp", "link", "set", tap, "netns", host === "router" ? `${Deno.pid}` : host, "name", name),
    ip(host, "addr", "add", address, "dev", name),
    ip(host, "link", "set", name, "up"),
  ]);
}

function routeCommands(): string[][] {
  return [
    ip("router", "route", "add", "default", "via", "10.0.2.2"),
    ip("dns", "route", "add", "default", "via", "8.8.8.1"),
    ip("server", "route", "add", "default", "via", "192.168.99.254"),
  ];
}

function ip(host: LabHost | "router", ...words: string[]): string[] {
  return host === "router" ? ["ip", ...words] : ["ip", "-n", host, ...words];
}

/** The words that run a command on one of the hosts. */
export function inside(host: LabHost, words: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${host}`, "--", ...words];
}

/** Makes the hosts of the internet. */
export async function buildHosts(): Promise<void> {
  for (const command of hostCommands()) await mustRun(command);
}

/** Joins them: by cables to a kernel, or by the TAPs of our isp, which runs already. */
export async function joinHosts(ispIsOurs: boolean): Promise<void> {
  for (const command of ispIsOurs ? tapCommands() : cableCommands()) await mustRun(command);
  for (const command of routeCommands()) await mustRun(command);
}

/** A picture of it, some 80 columns wide. */
export function worldPicture(unicode: boolean, ispIsOurs: boolean): string[] {
  const line = unicode ? "──" : "--";
  const [fork, last] = unicode ? ["┬", "└"] : ["+", "+"];
  const stack = `10.0.0.4 ${line}tap0${line} `;
  const router = `10.0.0.5   10.0.2.15 ${line}${ROUTER_INTERFACE}${line} `;
  const isp = `10.0.2.2 ${line}`;
  const branch = `${fork}${line} `;
  const before = stack.length + router.length + isp.length;
  return [
    "lvl-ip.lab".padEnd(stack.length) + "router.lab, masquerades".padEnd(router.length) +
    (ispIsOurs ? "isp.lab: ours" : "isp.lab").padEnd(isp.length + branch.length) + "dns.lab",
    `${stack}${router}${isp}${branch}${DNS_ADDRESS}`,
    `${" ".repeat(before)}${last}${line} ${SERVER_ADDRESS}`,
    `${" ".repeat(before + branch.length)}server.lab`,
  ];
}

/** PATH for what runs inside: the wrapper for `lvl-ip` first. */
export function labPath(folder: string): string {
  return `${folder}:${searchPath()}`;
}
