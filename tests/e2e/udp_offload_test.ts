/** UDP_SEGMENT and UDP_GRO of programs that know nothing of us: as the kernel has them, in every answer and every error. */
import { assertEquals } from "@std/assert";
import { hasNamespaces } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld, STACK } from "../support/shim.ts";

const PROGRAM = decodeURIComponent(new URL("programs/udp_offload.py", import.meta.url).pathname);
const ignore = !hasNamespaces() || !hasPrograms("python3");

Deno.test({
  name: "UDP_SEGMENT and UDP_GRO: the kernel's answers and the stack's are the same",
  ignore,
  async fn() {
    await using world = await ShimWorld.start();
    const expected = await world.net.exec(["python3", PROGRAM, KERNEL, STACK]);
    const got = await world.exec(["python3", PROGRAM, STACK, KERNEL]);
    assertEquals(got.replaceAll(STACK, "own"), expected.replaceAll(KERNEL, "own"));
  },
});

const TOTAL = 48_500;

/** Prints each message's length, and UDP_GRO's size if there is one, until all bytes are there; then whether they are right. */
const receiver = (address: string, merges: boolean) => `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 104, ${merges ? 1 : 0})
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(("${address}", 9))
s.settimeout(20)
print("bound", flush=True)
data, lengths = b"", []
while len(data) < ${TOTAL}:
    piece, control, _, _ = s.recvmsg(65536, 64)
    data += piece
    lengths.append((len(piece), *(int.from_bytes(value, "little") for _, _, value in control)))
print(len(lengths), lengths[0], lengths[-1], data == bytes(i * 7 >> 3 & 255 for i in range(${TOTAL})))`;

/** Sends all at once, to be cut by the message's word or the socket's. */
const sender = (address: string, tells: boolean) => `
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, ${tells ? 7 : 1000})
message = bytes(i * 7 >> 3 & 255 for i in range(${TOTAL}))
print(s.sendmsg([message], [(17, 103, struct.pack("=H", 1000))][:${tells ? 1 : 0}], 0, ("${address}", 9)))`;

const MERGED = `1 (${TOTAL}, 1000) (${TOTAL}, 1000) True`;
const SINGLE = "49 (1000,) (500,) True";

Deno.test({
  name: "UDP_SEGMENT of sockets and messages and UDP_GRO, to the kernel's programs and from them",
  ignore,
  async fn() {
    // An impaired device takes and gives single packets only.
    for (const options of [[], ["--impair", "loss=0%"]]) {
      await using world = await ShimWorld.start(...options);
      const python = (program: string) => ["python3", "-c", program];
      for (const merges of [false, true]) {
        await using kernel = await world.net.spawn(python(receiver(KERNEL, merges)));
        await kernel.waitFor("bound");
        assertEquals(await world.exec(python(sender(KERNEL, merges))), `${TOTAL}\n`);
        await kernel.waitFor("True\n");
        const isWhole = merges && options.length === 0;
        assertEquals(kernel.stdout, `bound\n${isWhole ? MERGED : SINGLE}\n`, `to the kernel, ${options}`);

        await using stack = await world.spawn(python(receiver(STACK, merges)));
        await stack.waitFor("bound");
        assertEquals(await world.net.exec(python(sender(STACK, merges))), `${TOTAL}\n`);
        await stack.waitFor("True\n");
        // How many of those that came one by one are put together is a matter of time.
        if (!merges || isWhole) {
          assertEquals(stack.stdout, `bound\n${isWhole ? MERGED : SINGLE}\n`, `from the kernel, ${options}`);
        }
      }
    }
  },
});
