/** Finds out what doctor judges. Looks only: nothing on the host is changed. */
import { status as daemonStatus } from "../ipc/client.ts";
import { aptCommand, findTool, messageOf } from "./command.ts";
import type { DoctorFacts } from "./doctor.ts";
import { chooseFirewall, type FirewallKind, listMasquerades } from "./firewall.ts";
import { LAB_TOOLS } from "./lab.ts";
import { defaultInterface, listLinks } from "./links.ts";
import { namespaceObstacle } from "./namespaces.ts";
import { CAP_NET_ADMIN, hasCapability } from "./privileges.ts";
import { findOwner, IP_FORWARD } from "./setup_net.ts";
import { tryTunNode } from "./tun_node.ts";

/** Looks at this host; `names` are the daemon's to find. */
export async function gatherDoctorFacts(
  tap: string,
  names: DoctorFacts["names"],
  socketPath?: string,
): Promise<DoctorFacts> {
  const netAdmin = hasCapability(CAP_NET_ADMIN);
  const hasIp = findTool("ip") !== null;
  const firewall = await chooseFirewall(netAdmin).catch(() => null);
  const owner = await findOwner(Deno.uid() ?? 0);
  return {
    user: { uid: owner.uid, name: owner.name },
    netAdmin,
    tun: await tryTunNode(),
    missingTools: LAB_TOOLS.filter((tool) => findTool(tool) === null),
    firewall,
    namespaces: await findNamespaces(),
    ipForward: (await Deno.readTextFile(IP_FORWARD)).trim(),
    masquerades: await findMasquerades(firewall, netAdmin),
    tap,
    links: hasIp ? await listLinks() : [],
    defaultInterface: hasIp ? await defaultInterface() : null,
    names,
    daemon: await findDaemon(socketPath),
  };
}

async function findNamespaces(): Promise<DoctorFacts["namespaces"]> {
  if (findTool("unshare") === null || findTool("ip") === null) {
    return { problem: "unshare or ip is not installed", mend: aptCommand(["util-linux", "iproute2"]) };
  }
  return await namespaceObstacle(["lab"]);
}

async function findMasquerades(
  firewall: FirewallKind | null,
  mayRead: boolean,
): Promise<DoctorFacts["masquerades"]> {
  if (firewall === null) return [];
  if (!mayRead) return null;
  return await listMasquerades(firewall).catch(() => null);
}

async function findDaemon(socketPath?: string): Promise<DoctorFacts["daemon"]> {
  try {
    const { pid, address, device } = await daemonStatus({ socketPath });
    return { pid, address, device };
  } catch (error) {
    return { problem: messageOf(error).replace(/; start one with:.*$/s, "") };
  }
}
