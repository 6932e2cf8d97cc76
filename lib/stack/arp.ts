import type { Memory } from "../buffer/memory.ts";
import {
  ANY,
  type IpAddress,
  isLoopback,
  isMulticast,
  isMulticastMac,
  MAC_BROADCAST,
  MAC_ZERO,
} from "../wire/address.ts";
import { ARP_REPLY, ARP_REQUEST, type ArpHeader, parseArp } from "../wire/arp.ts";
import { DROP } from "../wire/drop.ts";
import type { Core } from "./core.ts";

/** RFC 5227 1.1: how many announcements, and how far apart. */
const ANNOUNCE_NUM = 2;
const ANNOUNCE_INTERVAL_US = 2_000_000;
/** RFC 5227 1.1: least time between two defences of an address. */
const DEFEND_INTERVAL_US = 10_000_000;

/** An ARP packet came in (RFC 826, "Packet Reception"). */
export function arpInput(core: Core, memory: Memory, offset: number, length: number, now: number): void {
  const arp = core.arp.header;
  core.counters.arpIn++;
  const drop = parseArp(memory, offset, length, arp);
  if (drop !== DROP.none) return core.drop(drop);
  if (!isSenderPossible(core, arp)) return core.drop(DROP.arpSenderInvalid);
  if (core.local.isOwn(arp.senderIp)) {
    // Our own packet, come back by a hub or bridge, is no news.
    if (arp.senderMac !== core.mac) noteConflict(core, arp.senderIp, now);
    return;
  }
  const isForUs = core.local.isOwn(arp.targetIp);
  if (arp.senderIp !== ANY) learn(core, arp, isForUs, now);
  if (!isForUs) {
    if (core.neighbors.get(arp.senderIp) === undefined) core.drop(DROP.arpNotForUs);
    return;
  }
  // A probe (RFC 5227 2.1.1: from 0.0.0.0) is answered too: so its sender learns that the address is taken.
  if (arp.operation === ARP_REQUEST) core.arp.queue.reply(arp.targetIp, arp.senderIp, arp.senderMac);
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
function learn(core: Core, arp: ArpHeader, isForUs: boolean, now: number): void {
  const { neighbors } = core;
  const known = neighbors.get(arp.senderIp) !== undefined;
  if (!known && (!isForUs || arp.operation !== ARP_REQUEST)) return;
  if (!known && !core.routes.isOnLink(arp.senderIp)) return;
  // An answer to us shows that it hears us; a request or an announcement shows only that we hear it.
  const confirmed = isForUs && arp.operation === ARP_REPLY;
  neighbors.learn(arp.senderIp, arp.senderMac, confirmed, now);
}

/**
 * Another machine sends from our address (RFC 5227 2.4 c): we keep it, as long as we are run with it, and say so to the
 * link and to the log, but never more often than every ten seconds, so that two such hosts do not flood each other.
 */
function noteConflict(core: Core, address: IpAddress, now: number): void {
  const { arp } = core;
  const last = arp.defendedAtUs.get(address) ?? -Infinity;
  if (now - last < DEFEND_INTERVAL_US) return;
  arp.defendedAtUs.set(address, now);
  arp.queue.announce(address);
  core.notice({ kind: "address-conflict", address, mac: arp.header.senderMac, atUs: now });
}

/**
 * Tells the link about our addresses at the start. First comes a probe, which makes a machine that has the address
 * answer, then the announcement at once: RFC 5227 would wait five seconds for answers before the first use, but our
 * addresses are given by who runs us, and the first second counts.
 */
export function advanceAnnouncements(core: Core, now: number): void {
  const { arp, local } = core;
  if (now < arp.announceAtUs) return;
  for (const { address } of local.list) {
    if (arp.announced === 0) arp.queue.request(ANY, address, MAC_BROADCAST);
    arp.queue.announce(address);
  }
  arp.announced++;
  arp.announceAtUs = arp.announced < ANNOUNCE_NUM ? now + ANNOUNCE_INTERVAL_US : Infinity;
}
