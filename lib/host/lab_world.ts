/**
 * The lab's small internet. The namespace we are in is the router; the TAP's host side will be here too.
 *
 * ```
 * stack 10.0.0.4 -- tap0 10.0.0.5 [router] enp0s3 10.0.2.15 -- 10.0.2.2 [isp] 8.8.8.1 ------ 8.8.8.8      [dns]
 *                                                                             192.168.99.254 -- 192.168.99.1 [server]
 * ```
 *
 * The isp knows no way to 10.0.0.0/24: without masquerade no answer comes back.
 */
import { mustRun, searchPath } from "./command.ts";

export const ROUTER_INTERFACE = "enp0s3";
export const DNS_ADDRESS = "8.8.8.8";
export const SERVER_ADDRESS = "192.168.99.1";

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

/** The commands that build it, in order. */
export function worldCommands(): string[][] {
  const commands: string[][] = [["ip", "link", "set", "lo", "up"]];
  for (const host of HOSTS) {
    commands.push(["ip", "netns", "add", host], ip(host, "link", "set", "lo", "up"));
  }
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
  commands.push(
    ip("router", "route", "add", "default", "via", "10.0.2.2"),
    ip("dns", "route", "add", "default", "via", "8.8.8.1"),
    ip("server", "route", "add", "default", "via", "192.168.99.254"),
    inside("isp", ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]),
  );
  return commands;
}

function ip(host: LabHost | "router", ...words: string[]): string[] {
  return host === "router" ? ["ip", ...words] : ["ip", "-n", host, ...words];
}

/** The words that run a command on one of the hosts. */
export function inside(host: LabHost, words: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${host}`, "--", ...words];
}

/** Builds the internet; how many commands that took. */
export async function buildWorld(): Promise<number> {
  const commands = worldCommands();
  for (const command of commands) await mustRun(command);
  return commands.length;
}

/** A picture of it. */
export function worldPicture(unicode: boolean): string[] {
  const line = unicode ? "──" : "--";
  const [fork, last] = unicode ? ["┬", "└"] : ["+", "+"];
  const stack = `10.0.0.4 ${line}tap0${line} `;
  const router = `10.0.0.5   10.0.2.15 ${line}${ROUTER_INTERFACE}${line} `;
  const isp = `10.0.2.2 ${line}`;
  return [
    "lvl-ip".padEnd(stack.length) + "router, masquerades".padEnd(router.length) + "isp",
    `${stack}${router}${isp}${fork}${line} ${DNS_ADDRESS}`,
    " ".repeat(stack.length + router.length + isp.length) + `${last}${line} ${SERVER_ADDRESS}`,
  ];
}

/** PATH for what runs inside: the wrapper for `lvl-ip` first. */
export function labPath(folder: string): string {
  return `${folder}:${searchPath()}`;
}
