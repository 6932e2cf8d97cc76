/** Raw sockets of programs on the stack, against the kernel's. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { openIcmp, openRaw } from "../../mod.ts";
import { hasNamespaces } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld, STACK } from "../support/shim.ts";

const noWorld = !hasNamespaces() || !hasPrograms("cc", "python3");

interface Conditions {
  /** Of the daemon. */
  options?: string[];
  ignore?: boolean;
}

function rawTest(name: string, fn: (world: ShimWorld) => Promise<void>, conditions: Conditions = {}): void {
  Deno.test({
    name: `raw: ${name}`,
    ignore: noWorld || conditions.ignore,
    async fn() {
      await using world = await ShimWorld.start(...conditions.options ?? []);
      await fn(world);
    },
  });
}

const PYTHON = `
import errno, socket, struct, sys
STACK, KERNEL = "${STACK}", "${KERNEL}"
def checksum(data):
  if len(data) % 2: data += b"\\0"
  total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
  while total >> 16: total = (total & 0xffff) + (total >> 16)
  return ~total & 0xffff
def echo(kind, identifier, sequence, payload):
  body = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + payload
  return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
`;

function python(code: string): string[] {
  return ["python3", "-uc", PYTHON + code];
}

rawTest("an echo request made by hand, and what is known of its answer", async (world) => {
  await world.exec(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_RAW
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_ICMP
s.settimeout(10)
s.setsockopt(socket.IPPROTO_IP, 12, 1)
s.setsockopt(255, 1, struct.pack("I", ~(1 << 0) & 0xffffffff))
s.sendto(echo(8, 77, 1, b"hello"), (KERNEL, 0))
packet, controls, flags, peer = s.recvmsg(2000, 500)
assert peer == (KERNEL, 0), peer
header = packet[:20]
assert header[0] == 0x45 and checksum(header) == 0 and header[12:16] == socket.inet_aton(KERNEL), header
assert struct.unpack("!H", header[2:4])[0] == len(packet)
assert packet[20:] == echo(0, 77, 1, b"hello"), packet
assert controls == [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack("i", 64))], controls
`));
});

rawTest("a protocol of one's own, both ways with the kernel, in fragments too", async (world) => {
  const peer = await world.net.spawn(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.bind((KERNEL, 0))
print("up")
while True:
  packet, peer = s.recvfrom(65535)
  s.sendto(packet[20:][::-1], peer)
`));
  await peer.waitFor("up");
  await world.exec(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.settimeout(10)
s.bind((STACK, 0))
s.connect((KERNEL, 9))
assert s.getsockname() == (STACK, 253) and s.getpeername() == (KERNEL, 9)
for size in 1, 1480, 5000, 60000:
  message = bytes((i * 7 + (i >> 8)) & 255 for i in range(size))
  assert s.send(message) == size
  packet = s.recv(65535)
  assert packet[20:] == message[::-1], size
  assert struct.unpack("!H", packet[2:4])[0] == len(packet)
`));
  peer.kill();
});

rawTest(
  "IP_HDRINCL: source, id, length and checksum are filled in; options and TTL are the program's",
  async (world) => {
    const peer = await world.net.spawn(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
print("up")
print(s.recvfrom(65535)[0].hex())
`));
    await peer.waitFor("up");
    await world.exec(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
assert s.getsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL) == 1
header = struct.pack("!BBHHHBBH4s4sBBBB", 0x46, 0x10, 0, 0, 0, 33, 253, 0, bytes(4), socket.inet_aton(KERNEL), 1, 1, 1, 0)
assert s.sendto(header + b"payload", (KERNEL, 0)) == 31
`));
    const { stdout } = await peer.finished();
    const packet = stdout.split("\n").find((line) => line.startsWith("46"))!;
    assertMatch(packet, /^4610001f(?!0000)....000021fd....0a0000040a00000501010100/);
    assertStringIncludes(packet, "7061796c6f6164");
  },
);

rawTest("an ICMP error about what was sent comes with IP_RECVERR", async (world) => {
  await world.exec(python(`
import select
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.setsockopt(socket.IPPROTO_IP, 11, 1)
s.sendto(b"nobody speaks this", (KERNEL, 0))
p = select.poll()
p.register(s, select.POLLIN)
assert p.poll(10000) == [(s.fileno(), select.POLLERR)]
data, controls, flags, peer = s.recvmsg(2000, 500, socket.MSG_ERRQUEUE)
assert data == b"nobody speaks this" and peer == (KERNEL, 0), (data, peer)
(level, name, value), = controls
assert (level, name) == (socket.IPPROTO_IP, 11)
assert struct.unpack("IBBBB", value[:8]) == (errno.ENOPROTOOPT, 2, 3, 2, 0), value
assert socket.inet_ntoa(value[20:24]) == KERNEL
`));
});

rawTest("only root and the daemon's owner may open one", async (world) => {
  const said = await world.exec(python(`
import os
os.setgroups([])
os.setresuid(65534, 65534, 65534)
for kind in socket.SOCK_DGRAM, socket.SOCK_RAW:
  try: print(socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).type)
  except OSError as error: print(errno.errorcode[error.errno])
`));
  assertEquals(said, "2\nEPERM\n");
}, { options: ["--group", "root"], ignore: Deno.uid() !== 0 });

rawTest("IP options that come, and those to answer with; none are sent", async (world) => {
  const receiver = await world.spawn(python(`
IP_OPTIONS, IP_RECVOPTS, IP_RETOPTS = 4, 6, 7
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
assert s.getsockopt(socket.IPPROTO_IP, IP_OPTIONS, 40) == b""
s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, b"")
for options, error in ((bytes((7, 7, 4, 0, 0, 0, 0, 0)), errno.ENOPROTOOPT), (bytes(41), errno.EINVAL)):
  try: s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, options)
  except OSError as e: assert e.errno == error
  else: assert False
s.setsockopt(socket.IPPROTO_IP, IP_RECVOPTS, 1)
s.setsockopt(socket.IPPROTO_IP, IP_RETOPTS, 1)
s.bind((STACK, 5353)); s.settimeout(10)
print("up")
for _ in range(2):
  data, control, flags, _ = s.recvmsg(100, 200)
  print(data.decode(), flags, *("%d:%s" % (kind, value.hex()) for _, kind, value in control))
`));
  await receiver.waitFor("up");
  await world.net.exec(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"bare", (STACK, 5353))
s.setsockopt(socket.IPPROTO_IP, 4, bytes((7, 11, 4)) + bytes(9))
s.sendto(b"route", (STACK, 5353))
`));
  const { stdout, stderr } = await receiver.finished();
  // RFC 791: the route so far is the kernel's address, 10.0.0.5; ours, 10.0.0.4, is what we add.
  assertEquals(
    stdout,
    "up\nbare 0\nroute 0 6:070b080a0000050000000000 7:070b0c0a0000050a00000400\n",
    stderr,
  );
});

rawTest("the system's ping", async (world) => {
  const said = await world.net.run(world.onStack(["ping", "-c", "2", "-i", "0.1", "-s", "3000", KERNEL]));
  assertStringIncludes(said.stdout, `3008 bytes from ${KERNEL}: icmp_seq=2 ttl=64`);
  assertEquals(said.stderr, "", "no option that it sets is refused");
}, { ignore: !hasPrograms("ping") });

rawTest("from Deno: a protocol of one's own, errors, and echo requests", async (world) => {
  const { socketPath } = world;
  const peer = await world.net.spawn(python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.bind((KERNEL, 0))
print("up")
while True:
  packet, peer = s.recvfrom(65535)
  s.sendto(packet[20:][::-1], peer)
`));
  await peer.waitFor("up");
  using raw = await openRaw({ protocol: 253, remote: KERNEL, socketPath });
  assertEquals([raw.hostname, raw.remote], [STACK, KERNEL]);
  for (const size of [1, 1480, 60_000]) {
    const message = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8));
    assertEquals(await raw.send(message), size);
    const packet = await raw.receive();
    assert(packet.kind === "packet");
    assertEquals([packet.from, packet.ttl, packet.bytes[0]], [KERNEL, 64, 0x45]);
    assertEquals(packet.bytes.subarray(20), message.toReversed());
  }
  using unheard = await openRaw({ protocol: 254, socketPath });
  await unheard.send(new Uint8Array([1, 2, 3]), KERNEL);
  const error = await unheard.receive();
  assert(error.kind === "error");
  assertEquals([error.icmpType, error.icmpCode, error.to, error.from], [3, 2, KERNEL, KERNEL]);
  assertEquals([...error.bytes], [1, 2, 3]);
  await unheard.send(new Uint8Array(1), "10.99.0.1");
  await assertRejects(() => unheard.send(new Uint8Array(1)), TypeError, "destination address required");
  await assertRejects(() => openRaw({ protocol: 256, socketPath }), RangeError);

  using icmp = await openIcmp({ socketPath });
  await icmp.send(new Uint8Array([8, 0, 0, 0, 0, 0, 0, 9, 42]), KERNEL, { ttl: 3 });
  const reply = await icmp.receive();
  assert(reply.kind === "packet");
  assertEquals([reply.bytes[0], reply.bytes[7], reply.bytes[8]], [0, 9, 42]);
  const all = Array.fromAsync(icmp);
  icmp.close();
  assertEquals(await all, []);
});
