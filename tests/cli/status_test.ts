import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { formatUptime, status } from "../../lib/cli/status.ts";
import { shortNumber } from "../../lib/cli/status_sockets.ts";
import { watch, withRates } from "../../lib/cli/status_watch.ts";
import { CommandError } from "../../lib/cli/errors.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { info, type TcpInfo } from "../../lib/tcp/info.ts";
import { DEFAULT_SETTINGS } from "../../lib/tcp/settings.ts";
import { Tcb } from "../../lib/tcp/tcb.ts";
import { FakeIo } from "./fake_io.ts";
import { DAEMON, LISTENER, socket, STREAM } from "./status_fixture.ts";

/** TCP_INFO of which only so much is known. */
function infoOf(figures: Partial<TcpInfo>): TcpInfo {
  return { ...NO_INFO, ...figures };
}

const NO_INFO = info(new Tcb(DEFAULT_SETTINGS, new MemoryPool()), 0);

Deno.test("status is a page of aligned tables", async () => {
  const io = new FakeIo();
  assertEquals(await status([], {}, io, () => Promise.resolve(DAEMON)), 0);
  assertEquals(
    io.out,
    `lvl-ip 0.1.0, process 4242, up 3 min 12 s
address 10.0.0.4/24 (02:00:0a:00:00:04), gateway 10.0.0.5
device  tap0, MTU 1500
and     tap1, MTU 1500, address 10.1.0.4/24
router  packets are passed on between the interfaces
names   from 10.0.0.1
socket  /run/lvl-ip/lvl-ip.sock, 1 client

Sockets
Proto  State   Recv-Q  Send-Q  Local           Peer               RTT ms   cwnd  Retrans  Process
tcp    ESTAB        0   14480  10.0.0.4:49152  192.168.99.1:2048    0.43  28960        2  curl/4711
tcp    LISTEN       1     128  *:80            *:*                     -      -        -  -

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
  await status([], { json: true, socket: "/s" }, io, ({ socketPath }) => {
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
  await status([], {}, io, () => Promise.resolve(idle));
  assertEquals(
    io.out.split("\n").slice(1),
    [
      "address 10.0.0.4/24 (02:00:0a:00:00:04)",
      "device  tap0, MTU 1500",
      "names   no name server (see --dns)",
      "socket  /run/lvl-ip/lvl-ip.sock, 0 clients",
      "",
      "Sockets",
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

Deno.test("a filter or a kind narrows the page to sockets, -i shows what TCP knows", async () => {
  const figures = infoOf({
    tcpi_options: 7,
    tcpi_rto: 204000,
    tcpi_rtt: 431,
    tcpi_rttvar: 20,
    tcpi_snd_mss: 1448,
  });
  const daemon = {
    ...DAEMON,
    connections: [
      socket({ info: figures }),
      LISTENER,
      socket({ kind: "datagram", state: "UNCONN", localPort: 53, remoteAddress: "0.0.0.0", remotePort: 0 }),
      socket({ kind: "echo", localPort: 9, remotePort: 0, pid: 5, program: "" }),
      socket({ kind: "raw", protocol: 1, localPort: 0, remotePort: 0 }),
    ],
  };
  const show = async (words: string[], options: Parameters<typeof status>[1]) => {
    const io = new FakeIo();
    await status(words, options, io, () => Promise.resolve(daemon));
    return io.out.trimEnd().split("\n").slice(1);
  };
  const kinds = (lines: string[]) => lines.map((line) => line.split(" ")[0]);
  assertEquals(kinds(await show([], { tcp: true })), ["tcp", "tcp"]);
  assertEquals(kinds(await show([], { udp: true, raw: true })), ["udp", "icmp", "raw:1"]);
  assertEquals(kinds(await show([], { listening: true })), ["tcp", "udp"]);
  assertEquals(kinds(await show(["sport", "=", ":53"], {})), ["udp"]);
  const [row, detail] = await show(["state", "established"], { tcp: true, info: true });
  assertStringIncludes(row, "curl/4711");
  assertEquals(detail.trim().split(" ").slice(0, 6), [
    "ts",
    "sack",
    "cubic",
    "wscale:0,0",
    "rto:204",
    "rtt:0.431/0.02",
  ]);
  assertStringIncludes(detail, " mss:1448 ");
  const error = await assertRejects(
    () => show(["nonsense"], {}),
    CommandError,
    "The filter is wrong: 'nonsense'",
  );
  assertEquals(error.status, 2);
});

Deno.test("rates are counts a second by the daemon's clock; of another daemon there are none", () => {
  const before = {
    ...DAEMON,
    counters: { bytesIn: 1000, framesIn: 1 },
    connections: [socket({ info: infoOf({ tcpi_bytes_acked: 10, tcpi_bytes_received: 0 }) })],
  };
  const now = {
    ...before,
    uptimeUs: before.uptimeUs + 2e6,
    counters: { bytesIn: 5000, framesIn: 1, udpIn: 3 },
    connections: [
      socket({ info: infoOf({ tcpi_bytes_acked: 30, tcpi_bytes_received: 8 }) }),
      socket({ localPort: 5, info: infoOf({ tcpi_bytes_acked: 6 }) }),
      LISTENER,
    ],
  };
  const { rates, connections } = withRates(before, now);
  assertEquals(rates, { seconds: 2, counters: { bytesIn: 2000, framesIn: 0, udpIn: 1.5 } });
  assertEquals(connections.map((each) => [each.receivedPerSecond, each.ackedPerSecond]), [
    [4, 10],
    [0, 3],
    [undefined, undefined],
  ]);
  assertEquals(withRates(before, { ...now, pid: 1 }).rates, undefined);
  assertEquals([0, 12, 999, 1234, 123456, 99950, 2e9].map(shortNumber), [
    "0",
    "12",
    "999",
    "1.23k",
    "123k",
    "100k",
    "2.00G",
  ]);
});

Deno.test("status --watch draws in place, and leaves the terminal as it was", async () => {
  const io = new FakeIo();
  io.terminal = true;
  let looks = 0;
  const look = () =>
    Promise.resolve({ ...DAEMON, uptimeUs: 1e6 * ++looks, counters: { framesIn: 10 * looks } });
  const page = (daemon: { rates?: unknown }) =>
    `look ${looks} ${JSON.stringify(daemon.rates ?? null)}\nmore\nand more\n`;
  const ended = watch(look, page, 1, false, io, () => 2);
  while (looks < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  io.signal("SIGINT");
  assertEquals(await ended, 0);
  assert(
    io.out.startsWith("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[Hlook 1 null\x1b[K\nmore\x1b[K\x1b[J\x1b[H"),
    io.out,
  );
  assertStringIncludes(io.out, '\x1b[Hlook 2 {"seconds":1,"counters":{"framesIn":10}}\x1b[K\n');
  assert(io.out.endsWith("\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"), io.out);

  const broken = new FakeIo();
  broken.terminal = true;
  looks = 0;
  const dies = () => looks === 1 ? Promise.reject(new Error("gone")) : look();
  await assertRejects(() => watch(dies, page, 1, false, broken), Error, "gone");
  assert(broken.out.endsWith("\x1b[?1049l"));
});

Deno.test("status --watch --json prints a line a look", async () => {
  const io = new FakeIo();
  let looks = 0;
  const read = () => {
    if (++looks === 3) io.signal("SIGTERM");
    return Promise.resolve({ ...DAEMON, uptimeUs: 1e6 * looks });
  };
  assertEquals(await status(["dport", "2048"], { watch: 1, json: true }, io, read), 143);
  const lines = io.out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ rates }) => rates?.seconds), [undefined, 1, 1]);
  assertEquals(lines[0].connections, [STREAM]);
});
