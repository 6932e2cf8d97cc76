import { assert, assertEquals } from "@std/assert";
import { hasNamespaces } from "../support/netns.ts";
import { hasPrograms, ShimWorld, STACK } from "../support/shim.ts";

/*
 * tests/ffi/preload_options.c asks for and sets every socket option there is, on sockets of all kinds, on the kernel and on
 * the stack. What differs is listed here with the reason; anything else is a mistake.
 */

/** Options that the stack does not have: they tell their default, and can be set to nothing else. */
const NOT_THERE =
  /^\w+ (SO_(DEBUG|DONTROUTE|NO_CHECK|PRIORITY|MARK|TIMESTAMPNS|TIMESTAMPING|RXQ_OVFL|SELECT_ERR_QUEUE|BUSY_POLL|ZEROCOPY|NOFCS|LOCK_FILTER)|TCP_(THIN_\w+|REPAIR|SAVE_SYN|FASTOPEN_NO_COOKIE|INQ|TX_DELAY)|IP_(RECVTOS|FREEBIND|PASSSEC|TRANSPARENT|RECVORIGDSTADDR|MINTTL|CHECKSUM|RECVFRAGSIZE|BIND_ADDRESS_NO_PORT))=/;

/** Lines that may differ, and why. */
const KNOWN: [reason: string, line: RegExp][] = [
  ["there is no such option here", NOT_THERE],
  ["TCP has no timestamps of arrival here", /^(stream|listening|connected) SO_TIMESTAMP=/],
  ["its default is told as one number", / SO_TIMESTAMPING get/],
  ["UDP is not paced", /^datagram SO_MAX_PACING_RATE[ =]/],
  ["an error that TCP should see at once is not there", /^(stream|listening|connected) IP_RECVERR=/],
  ["TCP always sets DF", /^(stream|listening) IP_MTU_DISCOVER=/],
  ["urgent data is always in line (RFC 6093)", / SO_OOBINLINE( |=)/],
  ["these belong to other families or need privileges", / SO_(PASSCRED|PASSSEC|SNDBUFFORCE|RCVBUFFORCE)/],
  [
    "no filters, modules, CPUs or repair of sockets",
    / (SO_(DETACH_FILTER|INCOMING_CPU|PEEK_OFF)|TCP_(ULP|FASTOPEN_KEY|TIMESTAMP))/,
  ],
  ["nobody asks for the constant one", / SO_SNDLOWAT[ =]/],
  ["no options in IP headers, and datagrams are never corked", / (IP_(OPTIONS|HDRINCL|NODEFRAG)|UDP_CORK)/],
  ["the default of TCP's send buffer, and other limits of both", / SO_(SNDBUF|RCVBUF)( |=(-1|-2)\[)/],
  ["the limit of what may be waited for follows from the buffer", / SO_RCVLOWAT=(-1|-2)/],
  ["an index that no interface has fails here, and lo is not to be bound to", / SO_BINDTOIFINDEX=/],
  ["negative is no limit, and told as the largest number", / TCP_NOTSENT_LOWAT=(-1|-2)/],
  ["negative is the default", /(stream|listening) TCP_LINGER2=(-1|-2)/],
  ["a rate of more than 31 bits is no limit", / SO_MAX_PACING_RATE=-2/],
  ["of a listener it is what its children begin with", /^listening TCP_(WINDOW_CLAMP|FASTOPEN_CONNECT)=/],
  [
    "another MTU and window than the kernel's own loopback has",
    /^connected (IP_MTU|TCP_MAXSEG|TCP_WINDOW_CLAMP)[ =]/,
  ],
  ["multicast", / IP_MULTICAST_/],
];

/** What was asked -> what was answered. */
function answersOf(output: string): Map<string, string> {
  const lines = output.trim().split("\n");
  return new Map(lines.map((line) => [line.replace(/ [^ ]+( \d+:\w*)?$/, ""), line]));
}

Deno.test({
  name: "preload: options are taken, told and refused as the kernel does",
  ignore: !hasNamespaces() || !hasPrograms("cc", "tcpdump"),
  async fn() {
    await using world = await ShimWorld.start();
    const program = `${world.directory}/options`;
    const source = decodeURIComponent(new URL("../ffi/preload_options.c", import.meta.url).pathname);
    await world.net.exec(["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
    const kernel = answersOf(await world.net.exec([program, "127.0.0.1"]));
    const stack = answersOf(await world.exec([program, STACK]));
    assert(kernel.size > 5000, `${kernel.size} answers`);
    const used = new Set<string>();
    const different: string[] = [];
    for (const question of new Set([...kernel.keys(), ...stack.keys()])) {
      const [wanted, got] = [kernel.get(question), stack.get(question)];
      if (wanted === got) continue;
      const known = KNOWN.find(([, line]) => line.test(question + " "));
      if (known) used.add(known[0]);
      // A question about the value is asked only where setting it succeeded.
      else different.push(`${wanted ?? "-"}  |  ${got ?? "-"}`);
    }
    assertEquals(different, []);
    // A difference that has gone is to be taken off the list.
    assertEquals(KNOWN.map(([reason]) => reason).filter((reason) => !used.has(reason)), []);
  },
});
