import { EADDRNOTAVAIL, EEXIST } from "../errno.ts";
import { ANY, type IpAddress, isLoopback, parseIp } from "../wire/address.ts";
import type { InterfaceConfig } from "./config.ts";
import type { Core } from "./core.ts";
import { Interface, InterfaceAddress, LOOPBACK_INDEX } from "./interface.ts";
import { Route } from "./routes.ts";

const LOOPBACK_ADDRESS = parseIp("127.0.0.1")!;
const LOOPBACK_PREFIX = 8;
const NO_FEATURES = { checksum: false, segmentation: false };
/** Of an address that stands for itself alone there is no network to be reached. */
const HOST_PREFIX = 32;

/** The loopback, then one interface for each device. */
export function makeInterfaces(
  configs: readonly InterfaceConfig[],
  random: () => number,
): [Interface, ...Interface[]] {
  const loopback = Interface.loopback(random);
  loopback.addresses.push(new InterfaceAddress(LOOPBACK_ADDRESS, LOOPBACK_PREFIX, loopback));
  const links = configs.map(({ name, mac, mtu, features = NO_FEATURES }, device) =>
    new Interface(
      { index: LOOPBACK_INDEX + 1 + device, name: name ?? `eth${device}`, mac, mtu, features, device },
      random,
    )
  );
  return [loopback, ...links];
}

/** Gives the interfaces their first addresses and routes. */
export function configureInterfaces(core: Core, configs: readonly InterfaceConfig[]): void {
  configs.forEach(({ addresses }, device) => {
    for (const { address, prefixLength } of addresses) {
      addAddress(core, core.links[device], address, prefixLength, 0);
    }
  });
  configs.forEach(({ gateway }, device) => {
    if (gateway === undefined) return;
    const link = core.links[device];
    core.routes.add(new Route({ network: ANY, prefixLength: 0, gateway, link, metric: device }));
  });
}

/**
 * One more address, with the route to its network, told to the link. -EEXIST where the interface has it with that prefix
 * length already.
 */
export function addAddress(
  core: Core,
  link: Interface,
  address: IpAddress,
  prefixLength: number,
  now: number,
): number {
  if (link.addresses.some((own) => own.address === address && own.prefixLength === prefixLength)) {
    return -EEXIST;
  }
  const own = new InterfaceAddress(address, prefixLength, link);
  link.addresses.push(own);
  if (isLoopback(address)) return 0;
  core.local.list.push(own);
  if (!own.isSecondary) addConnectedRoute(core, own);
  core.routes.changed();
  if (core.announces && !link.isLoopback) {
    own.announceAtUs = now;
    core.announceAtUs = Math.min(core.announceAtUs, now);
  }
  return 0;
}

/** RFC 1122 3.3.1.1: what is in the address's network is on the link. */
function addConnectedRoute(core: Core, own: InterfaceAddress): void {
  const { network, prefixLength, link, address } = own;
  if (prefixLength === HOST_PREFIX) return;
  core.routes.add(new Route({ network, prefixLength, link, preferredSource: address, protocol: "kernel" }));
}

/**
 * Takes an address away, and the routes that need it: to its network, unless another address of that network takes its
 * place (Linux's promote_secondaries), those that prefer it as their source, and when it was the interface's last one, all
 * through that. Connections that use it go on, and hear nothing any more. -EADDRNOTAVAIL: there is none such.
 */
export function removeAddress(
  core: Core,
  link: Interface,
  address: IpAddress,
  prefixLength: number,
): number {
  const at = link.addresses.findIndex((own) => own.address === address && own.prefixLength === prefixLength);
  if (at < 0) return -EADDRNOTAVAIL;
  const [own] = link.addresses.splice(at, 1);
  const { list } = core.local;
  if (list.includes(own)) list.splice(list.indexOf(own), 1);
  const isGone = !core.local.isOwn(address);
  for (const route of [...core.routes]) {
    const isConnected = route.protocol === "kernel" && route.link === link && route.network === own.network &&
      route.prefixLength === prefixLength && route.preferredSource === address;
    const isOrphan = link.addresses.length === 0 && route.link === link;
    if (isConnected || isOrphan || (isGone && route.preferredSource === address)) core.routes.remove(route);
    const heir = isConnected
      ? link.addresses.find((other) => other.network === own.network && other.prefixLength === prefixLength)
      : undefined;
    if (heir !== undefined) addConnectedRoute(core, heir);
  }
  core.routes.changed();
  return 0;
}
