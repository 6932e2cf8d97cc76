import { DROP } from "../wire/drop.ts";
import { ICMP_TYPE, parseIcmpv4 } from "../wire/icmpv4.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import { receiveMessage } from "./datagram_input.ts";
import { findEchoSocket } from "./datagram_lookup.ts";
import { icmpErrorInput } from "./icmp_errors.ts";
import { redirectInput } from "./icmp_redirect.ts";
import { sendEchoReply } from "./icmp_send.ts";

/** An ICMP message came in (RFC 1122 3.2.2). */
export function icmpInput(core: Core, arrival: Arrival, now: number): void {
  const { ip, icmp } = arrival;
  core.counters.icmpIn++;
  const drop = parseIcmpv4(arrival.memory!, ip.payloadOffset, ip.payloadLength, icmp);
  if (drop !== DROP.none) return core.drop(drop);
  switch (icmp.type) {
    case ICMP_TYPE.echoRequest:
      // RFC 1122 3.2.2.6: to many hosts at once it may be ignored, and is, or one packet would call forth a storm.
      if (arrival.isBroadcast || arrival.isLinkBroadcast) return core.drop(DROP.icmpBroadcast);
      return sendEchoReply(core, arrival);
    case ICMP_TYPE.echoReply:
      return echoReplyInput(core, arrival, now);
    case ICMP_TYPE.unreachable:
    case ICMP_TYPE.timeExceeded:
    case ICMP_TYPE.parameterProblem:
      return icmpErrorInput(core, arrival, now);
    case ICMP_TYPE.redirect:
      return redirectInput(core, arrival, now);
    default:
      // RFC 1122 3.2.2: unknown types are dropped silently; source quench is one of them since RFC 6633.
      return core.drop(DROP.icmpTypeUnknown);
  }
}

/** An answer to a ping of ours: the whole message goes to the socket whose identifier it carries. */
function echoReplyInput(core: Core, arrival: Arrival, now: number): void {
  const { ip, icmp } = arrival;
  const socket = findEchoSocket(core, ip.destination, icmp.identifier, ip.source);
  if (socket === null) return core.drop(DROP.icmpNoSocket);
  const message = receiveMessage(core, socket, arrival, ip.payloadOffset, ip.payloadLength, now);
  if (message === null) return;
  message.destinationPort = icmp.identifier;
}
