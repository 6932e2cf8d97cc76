/** UDP_SEGMENT from a program that knows nothing of us: the kernel's side receives single datagrams. */
import { assertEquals } from "@std/assert";
import { status } from "../../mod.ts";
import { hasNamespaces } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld } from "../support/shim.ts";

const LENGTH = 40_500;
const SIZE = 1000;

const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("${KERNEL}", 9))
s.settimeout(20)
print("bound", flush=True)
data, sizes = b"", []
while len(data) < ${LENGTH}:
    piece = s.recv(65536)
    data += piece
    sizes.append(len(piece))
print(len(sizes), set(sizes[:-1]), sizes[-1], data == bytes(i * 7 >> 3 & 255 for i in range(${LENGTH})))
`;

const SENDER = `
import socket
SOL_UDP, UDP_SEGMENT = 17, 103
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(SOL_UDP, UDP_SEGMENT, ${SIZE})
print(s.getsockopt(SOL_UDP, UDP_SEGMENT), s.sendto(bytes(i * 7 >> 3 & 255 for i in range(${LENGTH})), ("${KERNEL}", 9)))
`;

Deno.test({
  name: "a program's UDP_SEGMENT, cut by the kernel behind the TAP and without it",
  ignore: !hasNamespaces() || !hasPrograms("python3"),
  async fn() {
    // An impaired device takes single packets only.
    for (const options of [[], ["--impair", "loss=0%"]]) {
      await using world = await ShimWorld.start(...options);
      await using receiver = await world.net.spawn(["python3", "-c", RECEIVER]);
      await receiver.waitFor("bound");
      const sent = await world.exec(["python3", "-c", SENDER]);
      assertEquals(sent, `${SIZE} ${LENGTH}\n`);
      await receiver.waitFor("True");
      assertEquals(receiver.stdout, "bound\n41 {1000} 500 True\n");
      const { counters } = await status({ socketPath: world.socketPath });
      if (options.length > 0) assertEquals(counters.udpOut, 41);
    }
  },
});
