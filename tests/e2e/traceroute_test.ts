/** The system's traceroute, tracepath and ours see the same path: three of the kernel's routers in a row. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openTrace } from "../../mod.ts";
import { hasNamespaces } from "../support/netns.ts";
import { HOPS, PathWorld, SMALL_MTU, TARGET } from "../support/path_world.ts";
import { hasPrograms } from "../support/shim.ts";

const noWorld = !hasNamespaces();
const noSystem = noWorld || !hasPrograms("cc", "traceroute", "tracepath");

/** Who answered in each hop, in the order of traceroute's output: what is no address and no time is kept. */
function hopsOf(said: string): string[] {
  return said.trimEnd().split("\n").slice(1).map((line) => line.replace(/\s+[0-9.]+ ms/g, "").trim());
}

const PATH = HOPS.map((hop, i) => `${i + 1}  ${hop}`);

Deno.test({
  name: "traceroute: the system's on the stack and ours see the same hops, by UDP, ICMP and TCP",
  ignore: noSystem,
  async fn() {
    await using world = await PathWorld.start();
    for (const [theirs, ours] of [[[], []], [["-I"], ["-I"]], [["-T", "-w", "5,0,0"], ["-T"]]]) {
      const system = hopsOf(await world.onStack(["traceroute", "-n", ...theirs, TARGET]));
      assertEquals([...new Set(system)], PATH, `system ${theirs}`);
      assertEquals(hopsOf(await world.ours("traceroute", ["-n", ...ours, TARGET])), PATH, `ours ${ours}`);
    }
    const mtu = await world.onStack(["traceroute", "-n", "--mtu", TARGET]);
    assertStringIncludes(mtu, "F=1500");
    assertStringIncludes(mtu, `F=${SMALL_MTU}`);
  },
});

Deno.test({
  name: "traceroute: mtr's TCP probes: its raw socket knows who answered before its connect fails of it",
  ignore: noSystem || !hasPrograms("mtr-packet"),
  async fn() {
    await using world = await PathWorld.start();
    const probes = HOPS.map((_, i) =>
      `${i + 1} send-probe ip-4 ${TARGET} protocol tcp port 80 ttl ${i + 1}\n`
    );
    const said = await world.onStack(["mtr-packet"], { stdin: probes.join("") });
    const answers = said.trimEnd().split("\n").map((line) => line.replace(/ round-trip-time.*/, "")).sort();
    assertEquals(answers, HOPS.map((hop, i) => `${i + 1} ${i < 3 ? "ttl-expired" : "reply"} ip-4 ${hop}`));
  },
});

Deno.test({
  name: "tracepath: the system's on the stack and ours see the smaller MTU in the middle",
  ignore: noSystem,
  async fn() {
    await using world = await PathWorld.start();
    for (
      const said of [
        await world.onStack(["tracepath", "-n", TARGET]),
        await world.ours("tracepath", ["-n", TARGET]),
      ]
    ) {
      const lines = said.trimEnd().split("\n");
      assertMatch(lines[0], /^ 1\?: \[LOCALHOST\] .*pmtu 1500$/);
      assert(
        lines.some((line) => line.startsWith(` 3:  ${HOPS[1]} `) && line.endsWith(`pmtu ${SMALL_MTU}`)),
        said,
      );
      assertMatch(lines.at(-2)!, new RegExp(`^ 4:  ${TARGET} .*reached`));
      assertEquals(lines.at(-1)!.trim(), `Resume: pmtu ${SMALL_MTU} hops 4 back 4`);
    }
  },
});

Deno.test({
  name: "traceroute: marks for what routers refuse, --json, and a SYN that leaves nothing behind",
  ignore: noWorld,
  async fn() {
    await using world = await PathWorld.start();
    const [r1, r2, r3, target] = world.world.all;
    // r2 knows no way to 10.2.3.0/24.
    await r1.sh(`for net in 1 2 3; do ip route add 10.2.$net.0/24 via ${HOPS[1]}; done`);
    await r2.sh(`for net in 1 2; do ip route add 10.2.$net.0/24 via ${HOPS[2]}; done`);
    await r3.sh("ip route add prohibit 10.2.1.0/24; ip route add blackhole 10.2.2.0/24");
    const last = async (...words: string[]) =>
      (await world.ours("traceroute", ["-n", "-q1", ...words])).trimEnd().split("\n").at(-1)!;
    assertMatch(await last("10.2.1.1"), new RegExp(`^ 3  ${HOPS[2]}  [0-9.]+ ms !X$`));
    assertMatch(await last("10.2.3.1"), new RegExp(`^ 2  ${HOPS[1]}  [0-9.]+ ms !N$`));
    assertMatch(await last("-m4", "-w", "0.2", "10.2.2.1"), /^ 4 {2}\*$/);
    assertMatch(await last("-F", TARGET, "1500"), new RegExp(`^ 3  ${HOPS[1]}  [0-9.]+ ms !F-${SMALL_MTU}$`));
    assertMatch(await last("-f", "4", "-s", "10.0.0.4", TARGET), new RegExp(`^ 4  ${TARGET} `));

    await using server = await target.spawn(["python3", "-um", "http.server", "8080"]);
    await server.waitFor(/Serving/);
    const said = await world.ours("traceroute", ["--json", "-T", "-p", "8080", "-n", TARGET]);
    const events = said.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(events.map(({ type }) => type), ["hop", "hop", "hop", "hop", "summary"]);
    assertEquals(
      events[3].probes.map(({ address, reached }: Record<string, unknown>) => [address, reached]),
      [
        ...Array(3).fill([TARGET, true]),
      ],
    );
    assertEquals(events[4], { type: "summary", host: TARGET, address: TARGET, kind: "tcp", reached: true });
    assertEquals(await target.exec(["ss", "-Htn", "sport = :8080"]), "", "half-open connections");
  },
});

Deno.test({
  name: "traceroute: a program's own trace tells late answers apart by their number",
  ignore: noWorld,
  async fn() {
    await using world = await PathWorld.start();
    const { socketPath } = world;
    for (const kind of ["udp", "icmp", "tcp"] as const) {
      using trace = await openTrace(TARGET, { kind, socketPath });
      // All at once, the farthest first.
      const ttls = [9, 4, 3, 2, 1];
      ttls.forEach((ttl, number) => trace.send({ number, ttl, port: 40000 + number, size: 60 }));
      const from: string[] = [];
      for await (const answer of trace) {
        from[answer.number] = answer.from;
        assertEquals(answer.icmpType === 11, answer.from !== TARGET);
        if (Object.keys(from).length === ttls.length) break;
      }
      assertEquals(from, [TARGET, TARGET, HOPS[2], HOPS[1], HOPS[0]], kind);
    }
  },
});
