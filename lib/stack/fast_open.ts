import { FastOpen } from "../tcp/fast_open.ts";
import type { IpAddress } from "../wire/address.ts";
import type { Ipv4Header } from "../wire/ipv4.ts";
import type { TcpHeader } from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Listener } from "./listener.ts";

/** Bits of `TcpSettings.fastOpen`, Linux's `net.ipv4.tcp_fastopen`. */
const FAST_OPEN_SERVER = 2;
const FAST_OPEN_SERVER_WITHOUT_COOKIE = 0x200;
/** Bytes of the cookies we make, as Linux's. */
const COOKIE_LENGTH = 8;
/** Tells this use of the hash from those of isn.ts, ports.ts and tcb_options.ts. */
const FAST_OPEN = 4;

/** What a listener makes of a SYN with regard to TCP Fast Open. */
export type FastOpenVerdict = "none" | "cookie" | "data";

/** RFC 7413 4.1.2: the cookie is a keyed hash of the addresses, so that nothing need be kept for who has one. */
function makeCookie(core: Core, local: IpAddress, remote: IpAddress, cookie: Uint8Array): void {
  const words = core.hashWords;
  words[0] = local;
  words[1] = remote;
  words[2] = 0;
  words[3] = FAST_OPEN;
  const low = core.hash.hash(words, 4);
  const { high } = core.hash;
  for (let i = 0; i < 4; i++) {
    cookie[i] = low >>> (8 * i);
    cookie[i + 4] = high >>> (8 * i);
  }
}

const expected = new Uint8Array(COOKIE_LENGTH);

function isGoodCookie(core: Core, ip: Ipv4Header, segment: TcpHeader): boolean {
  if (segment.fastOpenLength !== COOKIE_LENGTH) return false;
  makeCookie(core, ip.destination, ip.source, expected);
  // All bytes are looked at, whichever differs first: the time it takes tells nothing.
  let difference = 0;
  for (let i = 0; i < COOKIE_LENGTH; i++) difference |= expected[i] ^ segment.fastOpenCookie[i];
  return difference === 0;
}

/** RFC 7413 4.2.2: may the SYN's data be taken, is a cookie to be given out, or neither? */
export function judgeFastOpen(
  core: Core,
  listener: Listener,
  ip: Ipv4Header,
  segment: TcpHeader,
): FastOpenVerdict {
  const { fastOpen } = core.tcpSettings;
  const most = listener.socket.tcb.user.fastOpenBacklog;
  const isAsked = segment.fastOpen || segment.payloadLength > 0;
  // RFC 7413 5.1: so many may be open whose peer has not shown that it is where it says.
  if ((fastOpen & FAST_OPEN_SERVER) === 0 || !isAsked || listener.earlyCount >= most) return "none";
  if ((fastOpen & FAST_OPEN_SERVER_WITHOUT_COOKIE) !== 0) return "data";
  if (!segment.fastOpen) return "none";
  if (segment.fastOpenLength === 0) return "cookie";
  if (isGoodCookie(core, ip, segment)) {
    core.counters.tcpFastOpenPassive++;
    return "data";
  }
  core.counters.tcpFastOpenPassiveFailures++;
  return "cookie";
}

/** Has the child's SYN-ACK carry a cookie for its peer (RFC 7413 4.2.1). */
export function giveCookie(core: Core, child: Connection): void {
  const fastOpen = child.tcb.fastOpen ??= new FastOpen();
  makeCookie(core, child.localAddress, child.remoteAddress, fastOpen.cookie);
  fastOpen.cookieLength = COOKIE_LENGTH;
}
