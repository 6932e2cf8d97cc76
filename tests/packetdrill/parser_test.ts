import { assertEquals, assertThrows } from "@std/assert";
import type { Expression, IcmpSpec, ScriptEvent, SyscallSpec, TcpSpec } from "./ast.ts";
import { ScriptError } from "./lexer.ts";
import { parseScript } from "./parser.ts";
import { preprocess } from "./preprocess.ts";
import { formatOption } from "./tcp_options.ts";

function events(source: string): ScriptEvent[] {
  return parseScript(source).events;
}

function tcp(source: string): TcpSpec {
  const [{ action }] = events(source);
  if (action.type !== "packet" || action.packet.type !== "tcp") throw new Error("not a TCP segment");
  return action.packet;
}

function icmp(source: string): IcmpSpec {
  const [{ action }] = events(source);
  if (action.type !== "packet" || action.packet.type !== "icmp") throw new Error("not an ICMP message");
  return action.packet;
}

function call(source: string): SyscallSpec {
  const [{ action }] = events(source);
  if (action.type !== "syscall") throw new Error("not a system call");
  return action.syscall;
}

Deno.test("Accurate ECN: the count as a number or as flags, and the option in both orders", () => {
  const { bits } = tcp("+0 > .5 1:1(0) ack 1");
  assertEquals([bits, tcp("+0 > EA. 1:1(0) ack 1").bits], [0x150, bits]);
  for (const text of ["ECN e1b 1 ceb 0 e0b 70000", "ECN e0b 1 ceb 2 e1b 3"]) {
    const [option, nop] = tcp(`+0 > .5 1:1(0) ack 1 <${text},nop>`).options!;
    assertEquals([formatOption(option), nop.kind, option.data.length], [text, 1, 9]);
  }
  const [short] = tcp("+0 > .5 1:1(0) ack 1 <ECN e1b 2001 ceb 0>").options!;
  assertEquals([short.kind, formatOption(short)], [174, "ECN e1b 2001 ceb 0"]);
});

Deno.test("event times: absolute, relative, any, ranges", () => {
  const times = events(`
    0 \`a\`
    +.1 \`b\`
    + 0.25 \`c\`
    1.5 \`d\`
    * > . 1:1(0)
    +.3~+.310 > . 1:1(0)
    2~2.5 > . 1:1(0)
  `).map(({ time }) => [time.kind, time.us, time.endUs]);
  assertEquals(times, [
    ["absolute", 0, 0],
    ["relative", 100000, 100000],
    ["relative", 250000, 250000],
    ["absolute", 1500000, 1500000],
    ["any", 0, 0],
    ["relative-range", 300000, 310000],
    ["absolute-range", 2000000, 2500000],
  ]);
});

Deno.test("options, the first command, comments and lines", () => {
  const script = parseScript(`// first
--ip_version=ipv4
--tolerance_usecs=75000
--define=CC="reno"
--strict_segments
/* a
   comment */
\`sysctl -w a=1 \\
  b=2\`
0 close(3) = 0
`);
  assertEquals(script.options.map(({ name, value }) => [name, value]), [
    ["ip_version", "ipv4"],
    ["tolerance_usecs", "75000"],
    ["define", 'CC="reno"'],
    ["strict_segments", null],
  ]);
  assertEquals(script.initCommand, "sysctl -w a=1    b=2");
  assertEquals(script.events[0].line, 10);
});

Deno.test("a TCP segment with everything", () => {
  const segment = tcp(
    "+0 < [ect0] P. 1:1001(1000) ack 7 win 514 urg 5 <nop,nop,TS val 100 ecr 200,nop,nop,sack 1:2 5:9>",
  );
  assertEquals(segment.direction, "inbound");
  assertEquals(segment.ip, { ecn: 2 });
  assertEquals([segment.flags, segment.bits], ["P.", 24]);
  assertEquals([segment.seq, segment.length, segment.ack, segment.window, segment.urgent], [
    1,
    1000,
    7,
    514,
    5,
  ]);
  assertEquals(segment.options?.map(formatOption), [
    "nop",
    "nop",
    "TS val 100 ecr 200",
    "nop",
    "nop",
    "sack 1:2 5:9",
  ]);
});

Deno.test("flags, wildcards and ports", () => {
  assertEquals(tcp("0 > SEW 0:0(0) <...>").bits, 2 | 64 | 128);
  assertEquals(tcp("0 > SEW 0:0(0) <...>").options, null);
  assertEquals(tcp("0 > - 0:0(0)").bits, 0);
  assertEquals(tcp("0 > S.5 0:0(0)").bits, 2 | 16 | 64 | 256);
  assertEquals(tcp("0 > .  1:1(0) ack 1").window, -1);
  const segment = tcp("0 > 8080 > 40000 R. 0:0(0) ack 5 win 0");
  assertEquals([segment.sourcePort, segment.destinationPort, segment.window], [8080, 40000, 0]);
  assertEquals(tcp("0 > (ect01) . 1:1(0)").ip, { ecn: "ect01" });
  assertEquals(tcp("0 > [tos 0x10] . 1:1(0)").ip, { tos: 16 });
  assertEquals([tcp("0 > S. ...(0) ack 5").anySeq, tcp("0 > S. ...(0) ack 5").ack], [true, 5]);
  assertEquals(tcp("0 < S 4294967295:4294967295(0) win 10").seq, 0xffffffff);
});

Deno.test("conditional lines leave the numbers of the others as they are", () => {
  const source = "#ifdef STANDARD\n0 `a`\n#else\n0 `b`\n#endif\n#ifndef STANDARD\n0 `c`\n#endif\n0 `d`";
  assertEquals(events(preprocess(source, ["STANDARD"])).map(({ line }) => line), [2, 9]);
  assertEquals(events(preprocess(source, [])).map(({ line }) => line), [4, 7, 9]);
});

Deno.test("Fast Open cookies, digits only too", () => {
  const options = tcp("0 > S 0:0(0) <mss 1460,nop,nop,FO b79d15f7fabcd012,FO 0123456789abcdef,nop,nop>")
    .options!;
  assertEquals(options[3].data, [0xb7, 0x9d, 0x15, 0xf7, 0xfa, 0xbc, 0xd0, 0x12]);
  assertEquals(options[4].data[0], 1);
  assertEquals(tcp("0 < S 0:0(0) win 9 <FO,nop,nop>").options![0].data, []);
});

Deno.test("ICMP messages in Google's and in FreeBSD's order", () => {
  const google = icmp("0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]");
  assertEquals([google.icmpType, google.icmpCode, google.mtu, google.echoed.seq, google.echoed.length], [
    3,
    4,
    1200,
    1,
    1460,
  ]);
  const freebsd = icmp("0 < [4294967295:4294967295(0)] icmp unreachable host_prohibited");
  assertEquals([freebsd.icmpType, freebsd.icmpCode, freebsd.echoed.seq], [3, 10, 0xffffffff]);
  assertEquals(icmp("0 < icmp type_11 code_1").icmpCode, 1);
  assertEquals(icmp("0 > icmp unreachable port_unreachable [udp (10)]").echoed.protocol, "udp");
});

Deno.test("system calls with structures, notes, errnos and end times", () => {
  const connect = call("0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)");
  assertEquals([connect.name, connect.args.length, connect.error, connect.endUs], [
    "connect",
    3,
    "EINPROGRESS",
    -1,
  ]);
  const read = call("+0...0.200 read(4, ..., 1000) = 1000");
  assertEquals(read.endUs, 200000);
  assertEquals(call("1.00...6.00 accept(3, ..., ...) = 4").endUs, 6000000);
  assertEquals(call("0 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)").result, {
    kind: "number",
    value: 2,
    text: "0x2",
  });
  const poll = call("0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1");
  const [list] = poll.args as [Extract<Expression, { kind: "list" }>];
  const [item] = list.items as [Extract<Expression, { kind: "struct" }>];
  assertEquals(item.fields.map(({ name }) => name), ["fd", "events", "revents"]);
  const message = call(`0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0,
     msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9000}]}, 0) = 1000`);
  const struct = message.args[1] as Extract<Expression, { kind: "struct" }>;
  assertEquals(struct.fields.map(({ name }) => name), ["msg_name", "msg_iov", "msg_flags", "msg_control"]);
  assertEquals(struct.fields[1].args.length, 1);
  const address = call(
    '0 connect(3, {sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("1.2.3.4")}, 16) = 0',
  );
  assertEquals((address.args[1] as Extract<Expression, { kind: "struct" }>).fields.length, 3);
});

Deno.test("what is not in the language is an error with its line", () => {
  const wrong: [string, string][] = [
    ["\n0 > S 0:5(4)", "do not fit"],
    ["\n0 < . 1:1(0) ack 1", "needs a window"],
    ["\n0 < . 1:1(0) ack 1 win 1 <...>", "outbound packets only"],
    ["\n0 < X 1:1(0) win 1", "unknown TCP flag"],
    ["\n0 < . 1:1(0) win 1 <foo 3>", "unknown TCP option"],
    ["\n0 < . 1:1(0) win 1 <nop>", "multiple of 4"],
    ["\n* < . 1:1(0) win 1", "outbound packets only"],
    ["\n0 < . 1:1(0) win 70000", "out of range"],
    ["\n0 read(3, ..., 5) 0", "expected '='"],
    ["\n0 < . 1:21(20) ack 1 win 257 {mut tcp seq}", "fuzzed"],
    ['\n0 write(3, "abc) = 3', "unclosed"],
  ];
  for (const [source, message] of wrong) {
    const error = assertThrows(() => parseScript(source), ScriptError, message, source);
    assertEquals(error.line, 2, source);
  }
});
