/** The commands that hold connections, as processes, with a real daemon and kernel peers. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CommandWorld } from "../support/command_world.ts";
import { lvlIp } from "../support/netns.ts";
import type { WorldProcess } from "../support/process.ts";

const test = CommandWorld.test;

/** Answers a request with its length, and hangs up on clients whose side ends before. */
const IMPATIENT_SERVER = `
s = socket.create_server(("10.0.0.5", 8000)); print("up")
while True:
  c, _ = s.accept(); m = c.recv(100); c.settimeout(.15)
  try: ended = c.recv(1) == b""
  except TimeoutError: ended = False
  if not ended: c.sendall(b"got %d" % len(m))
  c.close()`;

test("connect gets the answer of a server that hangs up on half-closed clients, and of one that waits for the end", async (world) => {
  await using _server = await world.serve(IMPATIENT_SERVER);
  await using _patient = await world.serve(
    `s = socket.create_server(("10.0.0.5", 8001)); print("up")\nwhile True:\n  c, _ = s.accept()\n  n = 0\n` +
      `  while m := c.recv(100): n += len(m)\n  c.sendall(b"%d in all" % n); c.close()`,
  );
  assertEquals((await world.run(["connect", "10.0.0.5:8000", "--send", "hello"])).stdout, "got 5");
  assertEquals((await world.run(["connect", "10.0.0.5:8000"], { stdin: "hello" })).stdout, "got 5");
  assertEquals((await world.run(["connect", "-N", "10.0.0.5:8000", "--send", "hello"])).stdout, "");
  assertEquals((await world.run(["connect", "10.0.0.5:8001", "--send", "hello"])).stdout, "5 in all");
});

test("connect -u and listen -u exchange datagrams", async (world) => {
  await using _echo = await world.serve(
    `s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("10.0.0.5", 5300)); print("up")\n` +
      `while True:\n  m, a = s.recvfrom(65535); s.sendto(m.upper(), a)`,
  );
  const answered = await world.run(["connect", "-u", "10.0.0.5:5300", "--send", "hello"]);
  assertEquals([answered.code, answered.stdout], [0, "HELLO"], answered.stderr);
  const refused = await world.run(["connect", "-u", "10.0.0.5:9", "--send", "hello"]);
  assertEquals(refused.code, 1);
  assertEquals(
    refused.stderr,
    "lvl-ip: Cannot exchange messages with 10.0.0.5:9: Connection refused (nothing listens on that port)\n",
  );
  await using listener = await world.start(["listen", "-uv", "5353"], { stdin: "pong" });
  const answer = await world.python(
    `s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"ping", ("10.0.0.4", 5353)); print(s.recv(99))`,
  );
  assertEquals(answer, "b'pong'");
  await listener.waitFor("ping");
  listener.kill("SIGINT");
  assertEquals((await listener.finished()).code, 130);
});

test("listen takes one connection, gives it stdin and prints what comes", async (world) => {
  const bytes = crypto.getRandomValues(new Uint8Array(65000));
  await Deno.writeFile(`${world.folder}/in`, bytes);
  await using listener = await world.start(["listen", "-v", "2048"], { stdin: "answer" });
  const answer = await world.python(
    `c = socket.create_connection(("10.0.0.4", 2048)); c.sendall(b"question"); c.shutdown(1)\n` +
      `print(c.makefile().read())`,
  );
  assertEquals(answer, "answer");
  const { code, stdout, stderr } = await listener.finished();
  assertEquals([code, stdout], [0, "question"]);
  assertMatch(stderr, /^Listening on \*:2048\nConnection from 10\.0\.0\.5:[0-9]+\n$/);

  const quoted = lvlIp.map((word) => `'${word}'`).join(" ");
  await using taker = await world.host.spawn([
    "bash",
    "-c",
    `cd ${world.folder}; ${quoted} listen -v 2049 > out; cmp in out`,
  ]);
  await taker.waitFor("Listening");
  await world.python(
    `socket.create_connection(("10.0.0.4", 2049)).sendall(open("${world.folder}/in", "rb").read())`,
  );
  assertEquals((await taker.finished()).code, 0);

  const taken = await world.run(["listen", "10.0.0.9:1"]);
  assertEquals([taken.code, taken.stderr], [
    1,
    "lvl-ip: Cannot listen on 10.0.0.9:1: address not available\n",
  ]);
});

test("listen -k takes one after the other, and --exec serves several at once", async (world) => {
  await using listener = await world.start(["listen", "-kv", "2048"]);
  for (const text of ["one", "two"]) {
    await world.python(`socket.create_connection(("10.0.0.4", 2048)).sendall(b"${text}")`);
  }
  await listener.waitFor("onetwo");
  listener.kill("SIGTERM");
  assertEquals((await listener.finished()).code, 143);

  await using server = await world.start([
    "listen",
    "-kv",
    "2049",
    "--exec",
    "echo $LVLIP_REMOTE; cat; exit 3",
  ]);
  const answers = await world.python(
    `a, b = [socket.create_connection(("10.0.0.4", 2049)) for _ in "ab"]\n` +
      `for c in b, a: c.sendall(b"x" * 100000); c.shutdown(1)\n` +
      `for c in b, a: d = c.makefile().read(); print(d.split(chr(10))[0] == "10.0.0.5:%d" % c.getsockname()[1], len(d.split()[1]))`,
  );
  assertEquals(answers, "True 100000\nTrue 100000");
  server.kill("SIGINT");
  assertEquals((await server.finished()).code, 130);

  await using once = await world.start(["listen", "-v", "2050", "--exec", "exit 7"]);
  await world.python(`print(socket.create_connection(("10.0.0.4", 2050)).recv(1))`);
  assertEquals((await once.finished()).code, 7);
  const wrong = await world.run(["listen", "-u", "1", "--exec", "cat"]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "--exec is for TCP");
  assert(!wrong.stderr.includes("at "));
});

/** Descriptors that a process has open. */
function openFiles({ pid }: WorldProcess): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** Python that echoes each TCP connection in a thread, upper case, and ends its side with the peer. */
const TCP_ECHO = (address: string, port: number) =>
  `import threading\ns = socket.create_server(("${address}", ${port}), backlog=128); print("up")\n` +
  `def serve(c):\n  while m := c.recv(65536): c.sendall(m.upper())\n  c.close()\n` +
  `while True: threading.Thread(target=serve, args=(s.accept()[0],)).start()`;

test("forward joins ports of the stack and of the host, both ways, TCP and UDP", async (world) => {
  await using _tcp = await world.serve(TCP_ECHO("127.0.0.1", 8080));
  await using _peer = await world.serve(TCP_ECHO("10.0.0.5", 8081));
  const udp = (address: string, port: number) =>
    `s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("${address}", ${port})); print("up")\n` +
    `while True:\n  m, a = s.recvfrom(65535); s.sendto(m.upper(), a)`;
  await using _udp = await world.serve(udp("127.0.0.1", 5300));
  await using _udpPeer = await world.serve(udp("10.0.0.5", 5301));
  await using forward = await world.host.spawn([
    ...[...lvlIp, "forward", "80:127.0.0.1:8080", "53:127.0.0.1:5300/udp", "81:127.0.0.1:9"],
    ...["-L", "9080:10.0.0.5:8081", "-L", "9053:10.0.0.5:5301/udp"],
  ]);
  await forward.waitFor("127.0.0.1:9053 of the host to 10.0.0.5:5301 of the stack (UDP)");
  assertMatch(forward.stdout, /^Forwarding \*:80 of the stack to 127\.0\.0\.1:8080 of the host\n/);
  const before = openFiles(forward);
  // All bytes before our end, whole ones after it; many at once.
  const tcp = (address: string) =>
    `def ask(i):\n  c = socket.create_connection(${address}); n = 100000 + i\n` +
    `  t = threading.Thread(target=lambda: (c.sendall(b"x" * n), c.shutdown(1))); t.start()\n` +
    `  m = b"".join(iter(lambda: c.recv(65536), b"")); assert m == b"X" * n, len(m)\n` +
    `import threading\nfrom concurrent.futures import ThreadPoolExecutor\n` +
    `print(len(list(ThreadPoolExecutor(20).map(ask, range(100)))))`;
  assertEquals(await world.python(tcp(`("10.0.0.4", 80)`)), "100");
  assertEquals(await world.python(tcp(`("127.0.0.1", 9080)`)), "100");
  const ask = (address: string) =>
    `for i in range(3):\n  s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5)\n` +
    `  for m in b"one", b"two" * 400: s.sendto(m, ${address}); assert s.recv(9999) == m.upper()\nprint("good")`;
  assertEquals(await world.python(ask(`("10.0.0.4", 53)`)), "good");
  assertEquals(await world.python(ask(`("127.0.0.1", 9053)`)), "good");
  // Three peers of datagrams each way are remembered, with a socket each; no connection is.
  for (let tries = 0; openFiles(forward) > before + 6 && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert(openFiles(forward) <= before + 6, `${before} descriptors have become ${openFiles(forward)}`);

  assertEquals(await world.python(`print(socket.create_connection(("10.0.0.4", 81)).recv(1))`), "b''");
  await forward.waitFor(
    /^lvl-ip: 10\.0\.0\.5:\d+ to 127\.0\.0\.1:9: Cannot connect to 127\.0\.0\.1:9: connection refused/m,
  );
  const busy = await world.run(["forward", "80:127.0.0.1:1"]);
  assertEquals([busy.code, busy.stderr], [
    1,
    "lvl-ip: Cannot listen on 0.0.0.0:80: address already in use\n",
  ]);
  const hostBusy = await world.run(["forward", "-L", "8080:10.0.0.5:1"]);
  assertEquals([hostBusy.code, hostBusy.stderr], [
    1,
    "lvl-ip: Cannot listen on 127.0.0.1:8080: address already in use\n",
  ]);
  await using open = await world.serve(
    `c = socket.create_connection(("10.0.0.4", 80)); print("up")\nprint(c.recv(1))`,
  );
  forward.kill("SIGINT");
  assertEquals((await forward.finished()).code, 0);
  await open.finished();
});

test("status lists every kind of socket with its owner, and watches", async (world) => {
  await using _server = await world.serve(
    `s = socket.create_server(("10.0.0.5", 2048)); print("up")\nc, _ = s.accept(); c.sendall(b"x" * 5000); c.recv(1)`,
  );
  await using open = await world.host.spawn([...lvlIp, "connect", "10.0.0.5:2048"], { stdin: "" });
  await open.waitFor("x");
  await using _listener = await world.start(["listen", "-v", "80"], { stdin: "" });
  await using _datagrams = await world.start(["listen", "-uv", "53"], { stdin: "" });
  await using _ping = await world.host.spawn([...lvlIp, "ping", "10.0.0.5"]);
  await _ping.waitFor("icmp_seq=1");
  const show = async (...args: string[]) => {
    const { code, stdout, stderr } = await world.run(["status", ...args]);
    assertEquals([code, stderr], [0, ""]);
    return stdout.trimEnd().split("\n").slice(1).map((line) => line.replace(/ +/g, " "));
  };
  assertMatch(
    (await show("-uw")).join("\n"),
    /^udp UNCONN 0 0 \*:53 \*:\* - - - \S+\/\d+\nicmp UNCONN [^\n]+\/\d+$/,
  );
  assertMatch((await show("-tl")).join("\n"), /^tcp LISTEN 0 128 \*:80 \*:\* - - - \S+\/\d+$/);
  const [row, ...info] = await show("-i", "state", "established", "dport", "=", ":2048");
  assertMatch(row, /^tcp ESTAB 0 0 10\.0\.0\.4:\d+ 10\.0\.0\.5:2048 [0-9.]+ \d+ 0 \S+\/\d+$/);
  assertMatch(
    info.join(""),
    /^ ts sack cubic wscale:\d+,\d+ rto:[0-9.]+ rtt:[0-9.]+\/[0-9.]+ .*mss:1448 .*bytes_received:5000 /,
  );
  await using watch = await world.host.spawn([...lvlIp, "status", "--watch", "0.05", "--json"]);
  await watch.waitFor(/"rates":\{"seconds":0\.\d+.*\n/);
  watch.kill("SIGINT");
  assertEquals((await watch.finished()).code, 0);
  const lines = watch.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert(
    lines[0].connections.some(({ info }: { info?: { tcpi_bytes_received: number } }) =>
      info?.tcpi_bytes_received === 5000
    ),
  );
});

test("Deno.serve of the host answers at the stack's address through forward", async (world) => {
  const code =
    `Deno.serve({ port: 8080, hostname: "127.0.0.1" }, (request) => new Response(new URL(request.url).pathname))`;
  await using server = await world.host.spawn([Deno.execPath(), "eval", code]);
  await server.waitFor("Listening");
  await using forward = await world.host.spawn([...lvlIp, "forward", "80:127.0.0.1:8080"]);
  await forward.waitFor("Forwarding");
  assertEquals(
    await world.python(
      `import urllib.request\nfor i in range(3): print(urllib.request.urlopen("http://10.0.0.4/%d" % i).read().decode())`,
    ),
    "/0\n/1\n/2",
  );
  // It hangs up on half-closed clients, and so is what connect has to get on with.
  const asked = await world.run(["connect", "127.0.0.1:80", "--send", "GET /x HTTP/1.0\\r\\n\\r\\n"]);
  assertMatch(asked.stdout, /\r\n\r\n\/x$/);
});
