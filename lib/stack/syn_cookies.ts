import { fillCookieSynAck, mayCarryCookie, openFromCookie } from "../tcp/cookie_handshake.ts";
import { segmentArrives } from "../tcp/segment_arrives.ts";
import type { Tcb } from "../tcp/tcb.ts";
import { DROP } from "../wire/drop.ts";
import type { Ipv4Header } from "../wire/ipv4.ts";
import type { TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { enqueueSegment } from "./bare_segment.ts";
import { newChild } from "./child.ts";
import { addConnection } from "./connections.ts";
import type { Core } from "./core.ts";
import type { Listener } from "./listener.ts";
import type { SipHash } from "./siphash.ts";
import { inheritOptions, timestampOffset } from "./tcb_options.ts";

/** The minutes that a cookie counts, and for how many of them it is good. */
const PERIOD_US = 60_000_000;
const MAX_AGE = 2;
/** A listener that sent no cookie for so long takes none. */
const VALID_US = MAX_AGE * PERIOD_US;
/** The low bits hold the hash of the minute and what it hides, those above the minute. */
const HASH_BITS = 24;
const HASH_MASK = (1 << HASH_BITS) - 1;
/** The segment sizes that a cookie can tell, as Linux found them to be common. */
const MSS_TABLE = [536, 1300, 1440, 1460];

/**
 * SYN cookies (RFC 4987 3.6), built as Linux's: the initial sequence number of the SYN-ACK is a keyed hash of the
 * connection, the peer's own number, the minute and an index of its segment size. Whoever acknowledges it has received
 * it, so the SYN need not be remembered.
 */
export class SynCookies {
  private readonly words = new Int32Array(5);
  /** Stands for every connection while its SYN-ACK is made. */
  private scratch: Tcb | null = null;

  constructor(private readonly hash: SipHash) {}

  /** The cookie for a SYN, `segment`, an int32. */
  make(ip: Ipv4Header, segment: TcpHeader, now: number): number {
    const minute = Math.floor(now / PERIOD_US);
    const base = (this.mix(ip, segment, 0, 0) + segment.seq + (minute << HASH_BITS)) | 0;
    const hidden = (this.mix(ip, segment, minute, 1) + indexOf(segment.mss)) & HASH_MASK;
    return (base + hidden) | 0;
  }

  /** The peer's segment size, if `segment` acknowledges a cookie of the last two minutes; 0: it does not. */
  check(ip: Ipv4Header, segment: TcpHeader, now: number): number {
    const minute = Math.floor(now / PERIOD_US);
    const bare = (segment.ack - 1 - this.mix(ip, segment, 0, 0) - (segment.seq - 1)) | 0;
    const age = (minute - (bare >>> HASH_BITS)) & 0xff;
    if (age >= MAX_AGE) return 0;
    const index = (bare - this.mix(ip, segment, minute - age, 1)) & HASH_MASK;
    return index < MSS_TABLE.length ? MSS_TABLE[index] : 0;
  }

  /** A block with the listener's options. */
  template(core: Core, listener: Listener): Tcb {
    this.scratch ??= core.newTcb();
    inheritOptions(listener.socket.tcb, this.scratch);
    return this.scratch;
  }

  private mix(ip: Ipv4Header, segment: TcpHeader, minute: number, use: 0 | 1): number {
    const { words } = this;
    words[0] = ip.source;
    words[1] = ip.destination;
    words[2] = (segment.sourcePort << 16) | segment.destinationPort;
    words[3] = minute;
    words[4] = use;
    return this.hash.hash(words, 5);
  }
}

/** The largest size in the table that is not above `mss`; 0, no option, means 536 (RFC 9293 3.7.1). */
function indexOf(mss: number): number {
  let index = MSS_TABLE.length - 1;
  while (index > 0 && mss < MSS_TABLE[index]) index--;
  return index;
}

/** Answers a SYN for which there is no room with a cookie. Nothing is kept but when that was. */
export function sendCookie(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  now: number,
): void {
  const { ip } = arrival;
  const { socket } = listener;
  const cookie = core.synCookies.make(ip, segment, now);
  const template = core.synCookies.template(core, listener);
  template.linkMss = core.segmentSizeTo(ip.source);
  template.timestamps.offset = timestampOffset(core, ip.destination, ip.source);
  const out = core.cookieOut;
  fillCookieSynAck(template, segment, cookie, out, now);
  out.sourcePort = segment.destinationPort;
  out.destinationPort = segment.sourcePort;
  listener.cookieSentAtUs = now;
  core.counters.tcpSynCookiesSent++;
  enqueueSegment(core, out, ip.destination, ip.source, socket.ttl, socket.tos);
}

/**
 * A segment for a listener that may acknowledge a cookie: then it brings about the connection. False if it does not, and
 * is to be answered like any segment that belongs to nothing.
 */
export function takeCookie(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  now: number,
): boolean {
  if (!mayCarryCookie(segment) || core.tcpSettings.synCookies === 0) return false;
  if (now - listener.cookieSentAtUs > VALID_US) return false;
  const mss = core.synCookies.check(arrival.ip, segment, now);
  if (mss === 0) {
    core.counters.tcpSynCookiesFailed++;
    return false;
  }
  core.counters.tcpSynCookiesReceived++;
  if (listener.isFull) {
    // The peer will repeat it: there may be room then.
    core.drop(DROP.tcpBacklogFull);
    return true;
  }
  return openByCookie(core, listener, arrival, segment, mss, now);
}

function openByCookie(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  mss: number,
  now: number,
): boolean {
  const child = newChild(core, listener, arrival);
  if (!openFromCookie(child.tcb, segment, (segment.ack - 1) | 0, mss, now)) {
    listener.end(child);
    core.tcpPorts.remove(child.binding!);
    return false;
  }
  segmentArrives(child.tcb, segment, now);
  addConnection(core, child);
  return true;
}
