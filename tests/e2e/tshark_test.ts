/** A capture of mixed traffic with the Linux kernel, decoded by tshark and by lib/wire. */
import { assert } from "@std/assert";
import { hasNamespaces } from "../support/netns.ts";
import { readPcapng } from "../support/pcapng_reader.ts";
import { hasPrograms, KERNEL, ShimWorld, STACK } from "../support/shim.ts";
import { compareFields, tsharkFields, wireFields } from "../support/tshark.ts";

/** What the traffic below must have left in the capture, as fields and the pattern one of their values has. */
const EXPECTED: [name: string, value: RegExp][] = [
  ["arp.opcode", /^1$/],
  ["arp.opcode", /^2$/],
  ["ip.frag_offset", /^[1-9]/],
  ["icmp.type", /^0$/],
  ["icmp.type", /^8$/],
  ["icmp.type", /^3$/],
  ["quoted.udp.dstport", /^4099$/],
  ["udp.checksum.status", /^1$/],
  ["tcp.options.mss_val", /^1460$/],
  ["tcp.options.wscale.shift", /^\d+$/],
  ["tcp.options.sack_le", /^\d+/],
  ["tcp.options.timestamp.tsecr", /^[1-9]/],
  ["tcp.flags", /^0x0014$/],
  ["tcp.flags", /^0x0011$/],
  ["tcp.len", /^1448$/],
];

async function makeTraffic(world: ShimWorld): Promise<void> {
  const { net } = world;
  await net.sh(`ping -c 5 -i 0.05 -s 4000 ${STACK}; ping -c 5 -i 0.05 ${STACK}; true`);
  await net.sh(`head -c 600000 /dev/urandom > ${world.directory}/data`);
  await using _server = await world.kernelServer(
    80,
    ["python3", "-um", "http.server", "--directory", world.directory, "80"],
  );
  const data = `http://${KERNEL}/data`;
  await world.exec(["curl", "-sS", "-o", "/dev/null", data]);
  await using _sink = await world.kernelServer(7001, ["nc", "-lN", "7001"]);
  await world.exec(["bash", "-c", `cat ${world.directory}/data > /dev/tcp/${KERNEL}/7001`]);
  // To nobody: a reset, and port unreachable, from both.
  const nobody = (host: string) =>
    `import socket; u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5): u.sendto(b"x" * 3000, ("${host}", 4099)); u.sendto(b"y", ("${host}", 4099))
for i in range(3):
  try: socket.create_connection(("${host}", 4099), 2)
  except OSError: pass`;
  await world.exec(["python3", "-c", nobody(KERNEL)]);
  await net.exec(["python3", "-c", nobody(STACK)]);
}

Deno.test({
  name: "tshark: a capture of mixed traffic is decoded alike",
  ignore: !hasNamespaces() || !hasPrograms("tshark", "curl", "nc", "python3", "cc"),
  async fn() {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/capture.pcapng`;
    const world = await ShimWorld.start(
      ...["--impair", "loss=3% reorder=10% delay=1ms seed=3", "--pcap", path],
    );
    try {
      await makeTraffic(world);
      world.daemon.kill("SIGINT");
      await world.daemon.finished(5000);
      const theirs = await tsharkFields(path);
      const { packets } = readPcapng(await Deno.readFile(path));
      assert(packets.length > 500 && packets.length === theirs.length, `${packets.length} frames`);
      const missing = new Set(EXPECTED);
      packets.forEach(({ bytes }, at) => {
        const ours = wireFields(bytes);
        compareFields(ours, theirs[at], `frame ${at + 1}`);
        for (const entry of missing) if (entry[1].test(ours[entry[0]] ?? "")) missing.delete(entry);
      });
      assert(missing.size === 0, `the capture has no ${[...missing].join(", no ")}`);
    } finally {
      await world[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    }
  },
});
