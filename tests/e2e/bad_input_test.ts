/** Frames and requests that nobody should send: each is dropped, counted by name, and harms nobody else. */
import { assert, assertEquals, assertGreater, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { listen, status } from "../../mod.ts";
import { EINVAL, EPROTO } from "../../lib/errno.ts";
import { decodeRecord, encodeRecord, OP, ProtocolRecord, RECORD_SIZE } from "../../lib/ipc/protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { hasNamespaces, lvlIp } from "../support/netns.ts";

const ignore = !hasNamespaces();

/** Python that makes frames, and sends those of `CASES` into the TAP through an AF_PACKET socket. */
const SENDER = `
import socket, struct, os
own, us, broadcast = bytes.fromhex("020000000099"), bytes.fromhex("02000a000004"), b"\\xff" * 6
host, stack = socket.inet_aton("10.0.0.5"), socket.inet_aton("10.0.0.4")

def checksum(data):
  data += b"\\0" * (len(data) % 2)
  total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
  while total >> 16: total = (total & 0xffff) + (total >> 16)
  return total ^ 0xffff

def eth(payload, kind=0x800, to=us, sender=own):
  return to + sender + struct.pack("!H", kind) + payload

def ip(payload, protocol=1, version=4, words=5, total=None, sum=None, source=host, to=stack, fragment=0, options=b""):
  total = 20 + len(options) + len(payload) if total is None else total
  head = struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, total, 1, fragment, 64, protocol, 0, source, to) + options
  sum = checksum(head) if sum is None else sum
  return eth(head[:10] + struct.pack("!H", sum) + head[12:] + payload)

def icmp(kind=8, code=0, sum=None, body=b"\\0\\1\\0\\1" + b"x" * 40):
  plain = struct.pack("!BBH", kind, code, 0) + body
  return struct.pack("!BBH", kind, code, checksum(plain) if sum is None else sum) + body

def transport(protocol, segment, at, sum=None):
  pseudo = host + stack + struct.pack("!BBH", 0, protocol, len(segment))
  sum = checksum(pseudo + segment) if sum is None else sum
  return ip(segment[:at] + struct.pack("!H", sum) + segment[at + 2:], protocol)

def tcp(offset=5, flags=2, sport=9, dport=80, sum=None, body=b""):
  return transport(6, struct.pack("!HHIIBBHHH", sport, dport, 1, 0, offset << 4, flags, 999, 0, 0) + body, 16, sum)

def udp(length=None, body=b"hello", dport=9, sum=None):
  length = 8 + len(body) if length is None else length
  return transport(17, struct.pack("!HHHH", 9, dport, length, 0) + body, 6, sum)

def arp(hardware=1, protocol=0x800, sizes=b"\\6\\4", operation=1, sender=own, ip=host, to=stack):
  return eth(struct.pack("!HH", hardware, protocol) + sizes + struct.pack("!H", operation) + sender + ip + own + to, 0x806, broadcast)

good = ip(icmp())
CASES = [
  ("etherTypeUnknown", eth(b"\\0" * 46, 0x88b5)),
  ("etherTypeUnknown", eth(os.urandom(46), 0x0000)),
  ("ethernetSourceInvalid", b"\\xff" * 60),
  ("ethernetNotForUs", b"\\0" * 60),
  ("ethernetNotForUs", eth(good[14:], to=bytes.fromhex("020000000077"))),
  ("ipTruncated", eth(b"")),
  ("ipTruncated", eth(good[14:33])),
  ("ipVersion", eth(b"\\0" * 46)),
  ("ipVersion", eth(b"\\xff" * 46)),
  ("ipVersion", ip(icmp(), version=6)),
  ("ipHeaderLength", ip(icmp(), words=4)),
  ("ipHeaderLength", eth(ip(b"", words=15)[14:])),
  ("ipTotalLength", ip(icmp(), total=19)),
  ("ipTotalLength", ip(icmp(), total=0)),
  ("ipTotalLength", ip(icmp(), total=65535)),
  ("ipTotalLength", good[:-1]),
  ("ipChecksum", ip(icmp(), sum=0x1234)),
  ("ipSourceInvalid", ip(icmp(), source=b"\\xff" * 4)),
  ("ipSourceInvalid", ip(icmp(), source=b"\\x7f\\0\\0\\1")),
  ("ipProtocolUnknown", ip(b"x" * 20, protocol=253)),
  ("icmpTruncated", ip(icmp()[:7])),
  ("icmpChecksum", ip(icmp(sum=0x1234))),
  ("icmpTypeUnknown", ip(icmp(kind=77))),
  ("udpTruncated", ip(b"1234567", 17)),
  ("udpLength", udp(length=7)),
  ("udpLength", udp(length=999)),
  ("udpChecksum", udp(sum=0x1234)),
  ("tcpTruncated", ip(b"x" * 19, 6)),
  ("tcpDataOffset", tcp(offset=4)),
  ("tcpDataOffset", tcp(offset=15)),
  ("tcpDataOffset", tcp(offset=0)),
  ("tcpChecksum", tcp(sum=0x1234)),
  ("tcpPortInvalid", tcp(sport=0)),
  ("arpTruncated", arp()[:41]),
  ("arpTruncated", eth(b"", 0x806, broadcast)),
  ("arpMalformed", arp(hardware=6)),
  ("arpMalformed", arp(protocol=0x86dd)),
  ("arpMalformed", arp(sizes=b"\\xff\\xff")),
  ("arpOperationUnknown", arp(operation=99)),
  ("arpSenderInvalid", arp(sender=b"\\xff" * 6)),
]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("tap0", 0))
`;

async function countersOf({ socketPath }: Daemon): Promise<Record<string, number>> {
  return (await status({ socketPath })).counters;
}

/** The daemon answers pings and programs, and had nothing to complain about. */
async function assertAlive(daemon: Daemon): Promise<void> {
  assertStringIncludes(await daemon.net.exec(["ping", "-c", "1", "-W", "2", "10.0.0.4"]), " 0% packet loss");
  assertEquals(daemon.process.stderr, "");
}

Deno.test({
  name: "bad input: frames cut short, with lying lengths and wrong checksums are dropped and counted by name",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { net, socketPath } = daemon;
    using _listener = await listen({ port: 80, socketPath });
    const script = `${SENDER}
import json
for name, frame in CASES: out.send(frame)
print(json.dumps([name for name, _ in CASES]))`;
    const names: string[] = JSON.parse(await net.exec(["python3", "-c", script]));
    await assertAlive(daemon);
    const shown = await net.exec([...lvlIp, "status", "--json", "--socket", socketPath]);
    const { counters } = JSON.parse(shown);
    const wanted = new Map<string, number>();
    for (const name of names) wanted.set(name, (wanted.get(name) ?? 0) + 1);
    for (const [name, count] of wanted) {
      // The host's own IPv6 multicast comes on top.
      const compare = name.startsWith("ether") ? assertGreaterOrEqual : assertEquals<number>;
      compare(counters[`drop.${name}`] ?? 0, count, `${name}\n${shown}`);
    }
    assertEquals((await status({ socketPath })).connections.filter(({ kind }) => kind === "stream"), []);
  },
});

Deno.test({
  name: "bad input: frames larger than the device's MTU are dropped, with and without offload",
  ignore,
  async fn() {
    for (const options of [[], ["--impair", "loss=0%"]]) {
      await using daemon = await Daemon.start(...options);
      const { net } = daemon;
      await net.exec(["ip", "link", "set", "tap0", "mtu", "9000"]);
      const send = "for size in (1477, 3000, 8900): out.send(ip(icmp(body=bytes(size))))";
      await net.exec(["python3", "-c", `${SENDER}\n${send}`]);
      await net.exec(["ip", "link", "set", "tap0", "mtu", "1500"]);
      await assertAlive(daemon);
      const counters = await countersOf(daemon);
      // Those that the device's buffer cannot hold are counted there, the others by the stack.
      const oversized = counters["tap.receivedOversized"] + (counters["drop.frameOversized"] ?? 0);
      assertEquals(oversized, 3, JSON.stringify(counters));
    }
  },
});

Deno.test({
  name: "bad input: 20,000 random and mutated frames, and the daemon goes on",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    using _listener = await listen({ port: 80, socketPath: daemon.socketPath });
    const send = `
import random
random.seed(1)
valid = [good, tcp(), udp(), arp(), ip(b"x" * 30, fragment=0x2000)]
for i in range(20000):
  frame = bytearray(random.choice(valid)) if i % 4 else bytearray(eth(random.randbytes(random.randrange(1, 1486)), random.choice([0x800, 0x806])))
  for _ in range(random.randrange(4)): frame[random.randrange(14, len(frame))] = random.randrange(256)
  out.send(frame[:random.randrange(14, len(frame) + 1)])`;
    await daemon.net.exec(["python3", "-c", SENDER + send]);
    await assertAlive(daemon);
    const counters = await countersOf(daemon);
    const dropped = Object.entries(counters).filter(([name]) => name.startsWith("drop."));
    assertGreater(dropped.filter(([, count]) => count > 0).length, 15, JSON.stringify(counters));
    assert(!("drop.unknown" in counters));
  },
});

/** Requests to be refused: all bytes of one, in one piece. */
function badRequests(): Map<string, Uint8Array<ArrayBuffer>> {
  const request = (change: (record: ProtocolRecord, view: DataView) => void, op: number = OP.status) => {
    const bytes = new Uint8Array(RECORD_SIZE);
    const view = new DataView(bytes.buffer);
    const record = new ProtocolRecord().reset(op);
    change(record, view);
    encodeRecord(record, view, 0);
    return bytes;
  };
  const patched = (offset: number, value: number) => {
    const bytes = request(() => {});
    bytes[offset] = value;
    return bytes;
  };
  return new Map([
    ["zeros", new Uint8Array(RECORD_SIZE)],
    ["ones", new Uint8Array(RECORD_SIZE).fill(255)],
    ["magic", patched(0, 0)],
    ["version", patched(4, 99)],
    ["unknown op", request(() => {}, 999)],
    ["op 0", request(() => {}, OP.none)],
    ["an answer's op", request(() => {}, OP.echo)],
    ["unknown flags", request((record) => record.flags = 0x8000_0000)],
    ["errno in a request", request((record) => record.errno = 5)],
    ["bytes that do not belong", request((record) => record.length = 10)],
    ["a name of 4 GB", request((record) => record.length = 0xffff_ffff, OP.resolve)],
    ["unknown family", patched(48, 77)],
    ["port 0", request((record) => record.remote.set(1, 0), OP.connect)],
    [
      "4 GB of filler",
      request((record) => {
        record.remote.set(1, 1);
        record.length = 0xffff_ffff;
      }, OP.connect),
    ],
    [
      "negative backlog",
      request((record) => {
        record.local.set(0, 1);
        record.arg0 = -1;
      }, OP.listen),
    ],
    ["no id", request(() => {}, OP.setOption)],
  ]);
}

Deno.test({
  name: "bad input: malformed requests are answered with an errno and closed, and harm nobody else",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const path = daemon.socketPath;
    const cases = badRequests();
    for (const [name, request] of cases) {
      using client = await Deno.connect({ transport: "unix", path });
      await client.write(request);
      const bytes = new Uint8Array(1000);
      assertEquals(await client.read(bytes), RECORD_SIZE, name);
      const answer = new ProtocolRecord();
      assert(decodeRecord(new DataView(bytes.buffer), 0, answer), name);
      assert(answer.errno === EPROTO || answer.errno === EINVAL, `${name}: errno ${answer.errno}`);
      assertEquals(await client.read(bytes).catch(() => null), null, name);
    }
    assertEquals((await countersOf(daemon))["ipc.requestsMalformed"], cases.size);

    // A request that never becomes whole, and one followed by more than anybody asked for.
    using half = await Deno.connect({ transport: "unix", path });
    await half.write(new Uint8Array(RECORD_SIZE - 1));
    {
      using flood = await Deno.connect({ transport: "unix", path });
      await flood.write(crypto.getRandomValues(new Uint8Array(65536))).catch(() => {});
    }
    await assertAlive(daemon);
    assertEquals((await status({ socketPath: path })).clients, 2, "the half request's, and this one's");
  },
});
