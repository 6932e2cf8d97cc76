import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CommandError } from "../../lib/cli/errors.ts";
import { type AskNetwork, network } from "../../lib/cli/network.ts";
import { readRequest } from "../../lib/cli/network_words.ts";
import { answerNetwork } from "../../lib/daemon/network.ts";
import type { NetworkObject } from "../../lib/ipc/network_messages.ts";
import { Stack } from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import { FakeIo } from "./fake_io.ts";

/** A stack with two interfaces and, in the place of a daemon, what serves its requests. */
class Host {
  mayChange = true;
  readonly stack = new Stack({
    interfaces: [
      {
        name: "tap0",
        mac: 0x02000a000004,
        mtu: 1500,
        addresses: [{ address: parseIp("10.0.0.4")!, prefixLength: 24 }],
        gateway: parseIp("10.0.0.5")!,
      },
      { name: "tap1", mac: 0x02000a010004, mtu: 1400, addresses: [] },
    ],
    secret: Uint32Array.of(1, 2, 3, 4),
    random: () => 0,
    announce: false,
  });

  /** Runs `lvl-ip OBJECT WORDS`; what it prints. Throws what it does not do. */
  async run(object: NetworkObject, words: string, json = false): Promise<string> {
    const io = new FakeIo();
    const ask: AskNetwork = (request, what) => {
      const answer = answerNetwork(this.stack.network, JSON.stringify(request), this.mayChange, 0);
      return typeof answer === "number"
        ? Promise.reject(new Error(`${what}: ${answer}`))
        : Promise.resolve(JSON.parse(answer));
    };
    const list = words.split(" ").filter((word) => word !== "");
    assertEquals(await network(object, list, { json }, io, ask), 0);
    return io.out;
  }

  async json(object: NetworkObject, words: string): Promise<unknown[]> {
    return JSON.parse(await this.run(object, words, true));
  }

  async errno(object: NetworkObject, words: string): Promise<number> {
    const error = await assertRejects(() => this.run(object, words), Error);
    return Number(/: (\d+)$/.exec(error.message)?.[1]);
  }
}

Deno.test("addr: shows as ip(8) does, adds and removes", async () => {
  const host = new Host();
  assertEquals(await host.run("address", "add 10.0.0.9/24 dev tap0"), "");
  await host.run("address", "add 192.168.7.1/30 dev tap1");
  assertEquals(
    await host.run("address", ""),
    `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8  scope host lo
2: tap0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP
    link/ether 02:00:0a:00:00:04 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.4/24  brd 10.0.0.255  scope global tap0
    inet 10.0.0.9/24  brd 10.0.0.255  scope global secondary tap0
3: tap1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 state UP
    link/ether 02:00:0a:01:00:04 brd ff:ff:ff:ff:ff:ff
    inet 192.168.7.1/30  brd 192.168.7.3  scope global tap1
`,
  );
  await host.run("address", "flush dev tap0");
  await host.run("address", "del 192.168.7.1/30 dev tap1");
  assertEquals(await host.run("route", ""), "");
  const [shown] = await host.json("address", "show dev lo");
  assertEquals(shown, {
    ifindex: 1,
    ifname: "lo",
    flags: ["LOOPBACK", "UP", "LOWER_UP"],
    mtu: 65536,
    operstate: "UNKNOWN",
    link_type: "loopback",
    address: "00:00:00:00:00:00",
    broadcast: "00:00:00:00:00:00",
    addr_info: [{ family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host", label: "lo" }],
  });
  assertEquals((await host.json("link", "")).map((link) => Object.hasOwn(link as object, "addr_info")), [
    false,
    false,
    false,
  ]);
});

Deno.test("route: a table of aligned words, and the names of ip -j", async () => {
  const host = new Host();
  await host.run("route", "add 10.9.0.0/16 via 10.0.0.7 metric 20 mtu 1200");
  await host.run("route", "add prohibit 10.66.0.0/16");
  await host.run("route", "add 10.67.0.9 dev tap1 src 10.0.0.4");
  assertEquals(
    await host.run("route", "show"),
    `default                via 10.0.0.5  dev tap0  proto static
10.0.0.0/24                          dev tap0  proto kernel  scope link  src 10.0.0.4
10.9.0.0/16            via 10.0.0.7  dev tap0                                          metric 20  mtu 1200
prohibit 10.66.0.0/16
10.67.0.9                            dev tap1                scope link  src 10.0.0.4
`,
  );
  assertEquals(await host.json("route", "show dev tap0"), [
    { dst: "default", flags: [], gateway: "10.0.0.5", dev: "tap0", protocol: "static" },
    {
      dst: "10.0.0.0/24",
      flags: [],
      dev: "tap0",
      protocol: "kernel",
      scope: "link",
      prefsrc: "10.0.0.4",
    },
    { dst: "10.9.0.0/16", flags: [], gateway: "10.0.0.7", dev: "tap0", metric: 20, metrics: [{ mtu: 1200 }] },
  ]);
  assertEquals(await host.json("route", "get 10.9.1.1"), [
    {
      dst: "10.9.1.1",
      flags: [],
      gateway: "10.0.0.7",
      dev: "tap0",
      prefsrc: "10.0.0.4",
      metrics: [{ mtu: 1200 }],
    },
  ]);
  assertEquals(await host.run("route", "get 10.0.0.4"), "local 10.0.0.4  dev lo  src 10.0.0.4\n");
  assertEquals(await host.errno("route", "get 10.66.1.1"), 13);
  await host.run("route", "replace default via 10.0.0.1");
  await host.run("route", "del 10.9.0.0/16");
  await host.run("route", "delete prohibit 10.66.0.0/16");
  assertEquals((await host.json("route", "ls")).length, 3);
  await host.run("route", "flush");
  assertEquals((await host.json("route", "list")).length, 1);
});

Deno.test("neigh: permanent unless it is said otherwise", async () => {
  const host = new Host();
  await host.run("neighbour", "add 10.0.0.7 lladdr 02:00:00:00:00:07 dev tap0");
  await host.run("neighbour", "add 10.0.0.8 lladdr 02:00:00:00:00:08 dev tap0 nud stale");
  assertEquals(
    await host.run("neighbour", ""),
    `10.0.0.7  dev tap0  lladdr 02:00:00:00:00:07  PERMANENT
10.0.0.8  dev tap0  lladdr 02:00:00:00:00:08  STALE
`,
  );
  await host.run("neighbour", "flush dev tap0");
  assertEquals(await host.json("neighbour", ""), [
    { dst: "10.0.0.7", dev: "tap0", lladdr: "02:00:00:00:00:07", state: ["PERMANENT"] },
  ]);
  await host.run("neighbour", "del 10.0.0.7 dev tap0");
  assertEquals(await host.run("neighbour", "show dev tap0"), "");
});

Deno.test("what ip(8) refuses is refused with its errno", async () => {
  const host = new Host();
  const cases: [NetworkObject, string, number][] = [
    ["address", "add 10.0.0.4/24 dev tap0", 17],
    ["address", "add 10.0.0.4/33 dev tap0", 22],
    ["address", "add 10.0.0.4/24 dev eth7", 19],
    ["address", "del 10.0.0.8/24 dev tap0", 99],
    ["address", "change 10.0.0.8/24 dev tap0", 99],
    ["route", "add default via 10.0.0.1", 17],
    ["route", "add 10.9.0.0/16 via 192.0.2.1", 101],
    ["route", "add 10.9.0.0/16", 19],
    ["route", "add 10.9.0.1/16 via 10.0.0.1", 22],
    ["route", "add 10.9.0.0/16 via here", 22],
    ["route", "del 10.9.0.0/16", 3],
    ["route", "get 192.0.2.1.1", 22],
    ["neighbour", "change 10.0.0.7 lladdr 02:00:00:00:00:07 dev tap0", 2],
    ["neighbour", "add 10.0.0.7 lladdr ff:ff:ff:ff:ff:ff dev tap0", 22],
    ["neighbour", "del 10.0.0.7 dev tap0", 2],
  ];
  for (const [object, words, errno] of cases) assertEquals(await host.errno(object, words), errno, words);
  host.mayChange = false;
  assertEquals(await host.errno("address", "add 10.0.0.9/24 dev tap0"), 1);
  assertEquals(await host.errno("route", "flush"), 1);
  assertEquals((await host.json("route", "show")).length, 2, "but everybody may look");
});

Deno.test("what is no request at all does no harm", () => {
  const { network } = new Host().stack;
  const strange = ["", "7", "null", "[]", '{"verb":"add"}', '{"verb":"add","object":"route","dst":7}'];
  const odd = [
    '{"verb":"show","object":"moon"}',
    '{"verb":"dance","object":"address","local":"10.0.0.9/24","dev":"tap0"}',
  ];
  for (const text of [...strange, ...odd]) {
    const answer = answerNetwork(network, text, true, 0);
    assert(typeof answer === "number", `${text}: ${answer}`);
  }
});

Deno.test("wrong words: what is wrong, and how it is asked for", () => {
  const cases: [NetworkObject, string, string][] = [
    ["address", "dance", '"dance" is nothing that can be done'],
    ["address", "add", "ADDRESS/PREFIX is missing"],
    ["address", "add 10.0.0.9/24", "dev DEVICE is missing"],
    ["address", "add 10.0.0.9/24 dev", "what follows dev is missing"],
    ["address", "flush", "dev DEVICE is missing"],
    ["link", "add tap2", '"add" is nothing that can be done'],
    ["route", "add default via 10.0.0.1 quickly", '"quickly" is unexpected here'],
    ["route", "add default metric low", "metric low is no whole number"],
    ["neighbour", "add 10.0.0.7 dev tap0", "lladdr MAC is missing"],
    ["neighbour", "add 10.0.0.7 lladdr 1 dev tap0 nud sure", "nud sure is no state that can be given"],
  ];
  for (const [object, words, said] of cases) {
    const error = assertThrows(() => readRequest(object, words.split(" ")), CommandError);
    assertEquals([error.message, error.status], [said, 2]);
  }
});
