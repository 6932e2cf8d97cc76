/** What the runner makes of a script as a whole: IP versions, the device's queue, FreeBSD's side of a script. */
import { assertEquals } from "@std/assert";
import { parseArguments } from "./main.ts";
import { runScript } from "./runner.ts";

const CONNECT = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
`;

Deno.test("a script for IPv6 runs over IPv4, with the MSS and ICMP that IPv6 would give, and the result says so", () => {
  const result = runScript(`--ip_version=ipv6
--mtu=1280
--local_ip=fd3d:0a0b:17d6::1
${CONNECT}
   +0 > S 0:0(0) <mss 1220,sackOK,TS val 0 ecr 0,nop,wscale 8>
   +0 < icmp unreachable port_unreachable [0:0(0)]
   +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0
`);
  assertEquals([result.status, result.message, result.isForIpv6], ["pass", "", true]);
});

Deno.test("sockets of IPv6 with mapped addresses are IPv4 on the wire", () => {
  const result = runScript(`--ip_version=ipv4-mapped-ipv6
    0 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_IPV6, IPV6_RECVERR, [1], 4) = 0
   +0...0 connect(3, ..., ...) = 0
   +0 > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 8>
   +0 < S. 0:0(0) ack 1 win 65535 <mss 1460>
   +0 > . 1:1(0) ack 1
`);
  assertEquals([result.status, result.message, result.isForIpv6], ["pass", "", false]);
});

Deno.test("packet_too_big is IPv6's fragmentation needed: its MTU leaves 20 bytes less", () => {
  const result = runScript(`--ip_version=ipv6
${CONNECT}
   +0 > S 0:0(0) <mss 1440,sackOK,TS val 0 ecr 0,nop,wscale 8>
   +0 < S. 0:0(0) ack 1 win 65535 <mss 1440>
   +0 > . 1:1(0) ack 1
   +0 write(3, ..., 1440) = 1440
   +0 > P. 1:1441(1440) ack 1
   +0 < icmp packet_too_big mtu 1300 [1:1441(1440)]
   +0 > . 1:1241(1240) ack 1
   +0 > P. 1241:1441(200) ack 1
`);
  assertEquals([result.status, result.message], ["pass", ""]);
});

Deno.test("a queue that takes nothing loses what is sent, until it is replaced", () => {
  const result = runScript(`${CONNECT}
   +0 > S 0:0(0) <...>
   +0 \`tc qdisc replace dev tun0 root pfifo limit 0\`
 +1.5 \`tc qdisc replace dev tun0 root pfifo\`
 +0.5 > S 0:0(0) <...>
`);
  assertEquals([result.status, result.message], ["pass", ""]);
});

Deno.test("of what differs between systems --loose takes FreeBSD's side", () => {
  const script = `#ifdef FreeBSD
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
#endif
#ifdef STANDARD
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = -1 EMFILE
#endif
`;
  assertEquals(runScript(script, { loose: true }).status, "pass");
  assertEquals(runScript(script).status, "fail");
});

Deno.test("a setting by its own name", () => {
  const result = runScript(`\`sysctl -q net.lvl_ip.windowScaling=0 net.lvl_ip.mss=1000\`
${CONNECT}
   +0 > S 0:0(0) <mss 1000,sackOK,TS val 0 ecr 0>
`);
  assertEquals([result.status, result.message], ["pass", ""]);
});

Deno.test("packetdrill's own options may stand in the command line; what is none is an error", () => {
  const parsed = parseArguments(["--ip_version=ipv6", "-D", "NAME=5", "--mtu=1520", "script.pkt"]);
  if (typeof parsed === "string") throw new Error(parsed);
  assertEquals(parsed.paths, ["script.pkt"]);
  assertEquals(parsed.given.map(({ name, value }) => `${name}=${value}`), [
    "ip_version=ipv6",
    "define=NAME=5",
    "mtu=1520",
  ]);
  const script = `${CONNECT}
   +0 > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 8>
`;
  assertEquals(runScript(script, { given: parsed.given }).status, "pass");
  assertEquals(parseArguments(["--lose", "script.pkt"]), "Cannot run scripts: unknown option --lose");
});
