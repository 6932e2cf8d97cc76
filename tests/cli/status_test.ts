import { assertEquals } from "@std/assert";
import type { ConnectionStatus, DaemonStatus } from "../../lib/ipc/client.ts";
import type { LinkInfo } from "../../lib/ipc/network_messages.ts";
import { formatUptime, status } from "../../lib/cli/status.ts";
import { FakeIo } from "./fake_io.ts";

const STREAM: ConnectionStatus = {
  kind: "stream",
  state: "ESTAB",
  localAddress: "10.0.0.4",
  localPort: 49152,
  remoteAddress: "192.168.99.1",
  remotePort: 2048,
  receiveQueue: 0,
  sendQueue: 14480,
  congestionWindow: 28960,
  rttUs: 431,
  rttVarianceUs: 20,
  rtoUs: 200000,
  retransmits: 2,
  pid: 4711,
  uid: 1000,
};
const LISTENER: ConnectionStatus = {
  ...STREAM,
  kind: "listener",
  state: "LISTEN",
  localAddress: "0.0.0.0",
  localPort: 80,
  remoteAddress: "0.0.0.0",
  remotePort: 0,
  sendQueue: 128,
  pid: 0,
};
function link(ifindex: number, ifname: string, local: string): LinkInfo {
  return {
    ifindex,
    ifname,
    flags: ["UP"],
    mtu: 1500,
    operstate: "UP",
    link_type: ifname === "lo" ? "loopback" : "ether",
    address: "02:00:00:00:00:01",
    broadcast: "ff:ff:ff:ff:ff:ff",
    addr_info: [{ family: "inet", local, prefixlen: 24, scope: "global", label: ifname }],
  };
}
const DAEMON: DaemonStatus = {
  version: "0.1.0",
  pid: 4242,
  uptimeUs: 192e6,
  address: "10.0.0.4",
  prefixLength: 24,
  gateway: "10.0.0.5",
  mac: "02:00:0a:00:00:04",
  device: "tap0",
  mtu: 1500,
  forwarding: true,
  interfaces: [
    link(1, "lo", "127.0.0.1"),
    link(2, "tap0", "10.0.0.4"),
    link(3, "tap1", "10.1.0.4"),
  ],
  socketPath: "/run/lvl-ip/lvl-ip.sock",
  clients: 1,
  connections: [STREAM, LISTENER],
  counters: { framesIn: 120, ipChecksum: 0, framesOut: 9 },
  neighbours: [
    { address: "10.0.0.5", mac: "ee:8a:00:11:22:33", state: "reachable", device: "tap0" },
    { address: "10.0.0.9", mac: null, state: "incomplete", device: "tap1" },
  ],
  routes: [
    { destination: "10.0.0.0", prefixLength: 24, gateway: null, device: "tap0" },
    { destination: "0.0.0.0", prefixLength: 0, gateway: "10.0.0.5", device: "tap0" },
  ],
  nameServers: ["10.0.0.1"],
};

Deno.test("status is a page of aligned tables", async () => {
  const io = new FakeIo();
  assertEquals(await status({}, io, () => Promise.resolve(DAEMON)), 0);
  assertEquals(
    io.out,
    `lvl-ip 0.1.0, process 4242, up 3 min 12 s
address 10.0.0.4/24 (02:00:0a:00:00:04), gateway 10.0.0.5
device  tap0, MTU 1500
and     tap1, MTU 1500, address 10.1.0.4/24
router  packets are passed on between the interfaces
names   from 10.0.0.1
socket  /run/lvl-ip/lvl-ip.sock, 1 client

Connections
State   Local           Peer               Recv-Q  Send-Q  RTT ms  RTO ms   cwnd  Retrans   PID
ESTAB   10.0.0.4:49152  192.168.99.1:2048       0   14480    0.43     200  28960        2  4711
LISTEN  *:80            *:*                     0     128       -       -      -        -     -

Neighbours
Address   MAC                State       Device
10.0.0.5  ee:8a:00:11:22:33  reachable   tap0
10.0.0.9  -                  incomplete  tap1

Routes
To           Through   Device
10.0.0.0/24  on link   tap0
default      10.0.0.5  tap0

Counters
Name       Count
framesIn     120
framesOut      9
`,
  );
});

Deno.test("status --json is what the daemon says, whole", async () => {
  const io = new FakeIo();
  let path: string | undefined;
  await status({ json: true, socket: "/s" }, io, ({ socketPath }) => {
    path = socketPath;
    return Promise.resolve(DAEMON);
  });
  assertEquals(JSON.parse(io.out), JSON.parse(JSON.stringify(DAEMON)));
  assertEquals(path, "/s");
});

Deno.test("an idle daemon has no connections", async () => {
  const io = new FakeIo();
  const idle = {
    ...DAEMON,
    connections: [],
    neighbours: [],
    routes: [],
    counters: {},
    gateway: null,
    clients: 0,
    forwarding: false,
    interfaces: [],
    nameServers: [],
  };
  await status({}, io, () => Promise.resolve(idle));
  assertEquals(
    io.out.split("\n").slice(1),
    [
      "address 10.0.0.4/24 (02:00:0a:00:00:04)",
      "device  tap0, MTU 1500",
      "names   no name server (see --dns)",
      "socket  /run/lvl-ip/lvl-ip.sock, 0 clients",
      "",
      "Connections",
      "none",
      "",
    ],
  );
});

Deno.test("uptime is told in its two largest units", () => {
  assertEquals(formatUptime(0), "0 s");
  assertEquals(formatUptime(59.9e6), "59 s");
  assertEquals(formatUptime(3600e6), "1 h");
  assertEquals(formatUptime((86400 * 3 + 3 * 3600 + 59) * 1e6), "3 d 3 h");
});
