import type { Memory } from "../buffer/memory.ts";
import {
  ANY,
  isLoopback,
  isMulticast,
  isMulticastMac,
  MAC_BROADCAST,
  MAC_ZERO,
  type MacAddress,
} from "../wire/address.ts";
import { ARP_REPLY, ARP_REQUEST, type ArpHeader, parseArp } from "../wire/arp.ts";
import { DROP } from "../wire/drop.ts";
import type { Core } from "./core.ts";
import type { Interface, InterfaceAddress } from "./interface.ts";

/** RFC 5227 1.1: how many announcements, and how far apart. */
const ANNOUNCE_NUM = 2;
const ANNOUNCE_INTERVAL_US = 2_000_000;
/** RFC 5227 1.1: least time between two defences of an address. */
const DEFEND_INTERVAL_US = 10_000_000;

/** An ARP packet came in (RFC 826, "Packet Reception"). */
export function arpInput(
  core: Core,
  link: Interface,
  memory: Memory,
  offset: number,
  length: number,
  now: number,
): void {
  const arp = core.arpIn;
  core.counters.arpIn++;
  const drop = parseArp(memory, offset, length, arp);
  if (drop !== DROP.none) return core.drop(drop);
  if (!isSenderPossible(core, arp)) return core.drop(DROP.arpSenderInvalid);
  const own = core.local.find(arp.senderIp);
  if (own !== null) {
    // Our own packet, come back by a hub or bridge, is no news.
    if (!isOurMac(core, arp.senderMac)) noteConflict(core, link, own, now);
    return;
  }
  // As Linux's arp_ignore=0: any of our addresses, whichever link it is on.
  const isForUs = core.local.isOwn(arp.targetIp);
  if (arp.senderIp !== ANY) learn(core, link, arp, isForUs, now);
  if (!isForUs) {
    if (link.neighbors.get(arp.senderIp) === undefined) core.drop(DROP.arpNotForUs);
    return;
  }
  // A probe (RFC 5227 2.1.1: from 0.0.0.0) is answered too: so its sender learns that the address is taken.
  if (arp.operation === ARP_REQUEST) link.arp.reply(arp.targetIp, arp.senderIp, arp.senderMac);
}

function isOurMac(core: Core, mac: MacAddress): boolean {
  for (const { mac: own } of core.links) if (own === mac) return true;
  return false;
}

function isSenderPossible(core: Core, arp: ArpHeader): boolean {
  if (arp.senderMac === MAC_ZERO || isMulticastMac(arp.senderMac)) return false;
  const ip = arp.senderIp;
  return !isMulticast(ip) && !isLoopback(ip) && !core.local.isBroadcast(ip);
}

/**
 * RFC 826: an entry that exists is updated by whatever its host sends; a new one is made only when the packet is for us,
 * and then only for a request, since an answer we did not ask for is at best a mistake.
 */
function learn(core: Core, link: Interface, arp: ArpHeader, isForUs: boolean, now: number): void {
  const { neighbors } = link;
  const known = neighbors.get(arp.senderIp) !== undefined;
  if (!known && (!isForUs || arp.operation !== ARP_REQUEST)) return;
  if (!known && !core.routes.isOnLink(arp.senderIp, link)) return;
  // An answer to us shows that it hears us; a request or an announcement shows only that we hear it.
  const confirmed = isForUs && arp.operation === ARP_REPLY;
  neighbors.learn(arp.senderIp, arp.senderMac, confirmed, now);
}

/**
 * Another machine sends from our address (RFC 5227 2.4 c): we keep it, as long as we are run with it, and say so to the
 * link and to the log, but never more often than every ten seconds, so that two such hosts do not flood each other.
 */
function noteConflict(core: Core, link: Interface, own: InterfaceAddress, now: number): void {
  if (now - own.defendedAtUs < DEFEND_INTERVAL_US) return;
  own.defendedAtUs = now;
  link.arp.announce(own.address);
  core.notice({ kind: "address-conflict", address: own.address, mac: core.arpIn.senderMac, atUs: now });
}

/**
 * Tells the links about our addresses, at the start or when one is added. First comes a probe, which makes a machine that
 * has the address answer, then the announcement at once: RFC 5227 would wait five seconds for answers before the first
 * use, but our addresses are given by who runs us, and the first second counts.
 */
export function advanceAnnouncements(core: Core, now: number): void {
  if (now < core.announceAtUs) return;
  let next = Infinity;
  for (const own of core.local.list) {
    if (own.announceAtUs <= now) announce(own, now);
    next = Math.min(next, own.announceAtUs);
  }
  core.announceAtUs = next;
}

function announce(own: InterfaceAddress, now: number): void {
  const { link, address } = own;
  if (own.announced === 0) link.arp.request(ANY, address, MAC_BROADCAST);
  link.arp.announce(address);
  own.announced++;
  own.announceAtUs = own.announced < ANNOUNCE_NUM ? now + ANNOUNCE_INTERVAL_US : Infinity;
}
