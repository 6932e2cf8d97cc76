/** The SOCKS proxy as a process, with curl, Deno's own fetch and clients by hand, through a real daemon to kernel peers. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CommandWorld } from "../support/command_world.ts";
import { hasPrograms } from "../support/shim.ts";

/** Answers HTTP with the path and who asked. */
const HTTP_SERVER = `
import http.server
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    b = (self.path + " " + self.client_address[0]).encode(); self.send_response(200)
    self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
s = http.server.ThreadingHTTPServer(("10.0.0.5", 8000), H); print("up"); s.serve_forever()`;

/** Python: a client by hand. */
const CLIENT = `
import struct
def ip(a): return socket.inet_aton(a)
def take(c, n): return c.recv(n, socket.MSG_WAITALL)
def greet(port=1080):
  c = socket.create_connection(("127.0.0.1", port)); c.sendall(b"\\x05\\x01\\x00"); assert take(c, 2) == b"\\x05\\x00"
  return c
def ask(c, command, address, port):
  kind = b"\\x01" + ip(address) if address[0].isdigit() else b"\\x03" + bytes([len(address)]) + address.encode()
  c.sendall(b"\\x05" + bytes([command]) + b"\\x00" + kind + struct.pack("!H", port)); return reply(c)
def reply(c):
  r = take(c, 10); assert r[0] == 5 and r[3] == 1, r
  return r[1], socket.inet_ntoa(r[4:8]), struct.unpack("!H", r[8:])[0]
`;

/** A name server that knows peer.test only. */
const NAME_SERVER = `
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("10.0.0.5", 53)); print("up")
while True:
  q, a = s.recvfrom(999); end = q.index(b"\\0", 12) + 5; known = q[12:end] == b"\\4peer\\4test\\0\\0\\1\\0\\1"
  head = q[:2] + (b"\\x81\\x80\\0\\1\\0\\1" if known else b"\\x81\\x83\\0\\1\\0\\0") + b"\\0\\0\\0\\0" + q[12:end]
  s.sendto(head + (b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\x0a\\0\\0\\5" if known else b""), a)`;

/** In a world whose daemon asks the name server at 10.0.0.5. */
function test(name: string, fn: (world: CommandWorld) => Promise<void>): void {
  CommandWorld.test(name, fn, "--dns", "10.0.0.5");
}

test("socks: curl and Deno's fetch go through it, and reach the peer from the stack's address", async (world) => {
  await using _server = await world.serve(HTTP_SERVER);
  await using _names = await world.serve(NAME_SERVER);
  await using socks = await world.start(["socks"]);
  assertEquals(socks.stdout, "SOCKS proxy listening on 127.0.0.1:1080\n");
  if (hasPrograms("curl")) {
    for (const option of ["--socks5", "--socks5-hostname", "--socks4", "--socks4a"]) {
      const fetched = await world.host.exec([
        "curl",
        "-sS",
        option,
        "127.0.0.1",
        `http://10.0.0.5:8000/${option}`,
      ]);
      assertEquals(fetched, `/${option} 10.0.0.4`);
    }
    const byName = ["curl", "-sS", "--socks5-hostname", "127.0.0.1", "http://peer.test:8000/name"];
    assertEquals(await world.host.exec(byName), "/name 10.0.0.4");
    const refused = await world.host.run(["curl", "-sS", "--socks5", "127.0.0.1", "http://10.0.0.5:9/"]);
    assertEquals(refused.code, 97);
  }
  const program = `const client = Deno.createHttpClient({ proxy: { url: "socks5h://127.0.0.1:1080" } });
    const all = Array.from({ length: 20 }, (_, i) => fetch("http://peer.test:8000/" + i, { client }));
    for (const answer of await Promise.all(all)) console.log(await answer.text());`;
  const fetched = await world.host.exec([Deno.execPath(), "eval", program]);
  assertEquals(fetched.trim().split("\n"), Array.from({ length: 20 }, (_, i) => `/${i} 10.0.0.4`));
  socks.kill("SIGINT");
  assertEquals((await socks.finished()).code, 0);
});

test("socks: what cannot be reached gets the reply of RFC 1928, and both ends of a stream go through", async (world) => {
  await using _server = await world.serve(
    `s = socket.create_server(("10.0.0.5", 2048)); print("up")\nwhile True:\n  c, _ = s.accept()\n  n = 0\n` +
      `  while m := c.recv(65536): n += len(m)\n  c.sendall(b"%d" % n); c.close()`,
  );
  await using _names = await world.serve(NAME_SERVER);
  await using _socks = await world.start(["socks"]);
  await world.host.sh("ip route add unreachable 192.0.2.0/24; sysctl -q net.ipv4.ip_forward=1");
  const said = await world.python(`${CLIENT}
c = greet(); code, address, port = ask(c, 1, "10.0.0.5", 2048); assert (code, address) == (0, "10.0.0.4") and port
c.sendall(b"x" * 1000000); c.shutdown(1); print(c.recv(99))
print(ask(greet(), 1, "10.0.0.5", 9)[0], ask(greet(), 1, "192.0.2.1", 9)[0], ask(greet(), 1, "no.such.name.invalid", 9)[0])
print(ask(greet(), 9, "10.0.0.5", 9)[0])
c = greet(); c.sendall(b"\\x05\\x01\\x00\\x04" + bytes(18)); print(reply(c)[0])
c = socket.create_connection(("127.0.0.1", 1080)); c.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(c.recv(1))
c = socket.create_connection(("127.0.0.1", 1080)); c.sendall(b"\\x04\\x01\\x00\\x09" + ip("10.0.0.5") + b"me\\x00"); print(c.recv(8))
`);
  assertEquals(said.split("\n"), [
    "b'1000000'",
    "5 4 4",
    "7",
    "8",
    "b''",
    "b'\\x00[\\x00\\x00\\x00\\x00\\x00\\x00'",
  ]);
});

test("socks: nc -X 5, as in ssh's ProxyCommand", async (world) => {
  if (!hasPrograms("nc")) return;
  await using _server = await world.serve(
    `s = socket.create_server(("10.0.0.5", 2048)); print("up")\nc, _ = s.accept(); c.sendall(c.recv(99).upper()); c.close()`,
  );
  await using _socks = await world.start(["socks"]);
  const answer = await world.host.run(["nc", "-X", "5", "-x", "127.0.0.1:1080", "10.0.0.5", "2048"], {
    stdin: "hello",
  });
  assertEquals([answer.code, answer.stdout], [0, "HELLO"], answer.stderr);
});

test("socks: BIND and UDP ASSOCIATE", async (world) => {
  await using _echo = await world.serve(
    `s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("10.0.0.5", 5300)); print("up")\n` +
      `while True:\n  m, a = s.recvfrom(65535); s.sendto(a[0].encode() + m, a)`,
  );
  await using _socks = await world.start(["socks"]);
  const said = await world.python(`${CLIENT}
c = greet(); code, address, port = ask(c, 2, "10.0.0.5", 0); assert (code, address) == (0, "10.0.0.4"), (code, address)
p = socket.create_connection((address, port)); code, address, port = reply(c); assert (code, address, port) == (0, *p.getsockname())
p.sendall(b"hello"); print(c.recv(5)); c.sendall(b"you"); print(p.recv(3)); p.close(); print(c.recv(1))
c = greet(); code, address, port = ask(c, 3, "0.0.0.0", 0); assert (code, address) == (0, "127.0.0.1")
u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(5)
head = b"\\x00\\x00\\x00\\x01" + ip("10.0.0.5") + struct.pack("!H", 5300)
u.sendto(b"\\x00\\x00\\x01" + head[3:] + b"fragment", (address, port)); u.sendto(b"short", (address, port))
u.sendto(head + b" one", (address, port)); m = u.recv(999); assert m[:10] == head, m; print(m[10:])
thief = socket.socket(type=socket.SOCK_DGRAM); thief.settimeout(.1); thief.sendto(head + b" two", (address, port))
try: print(thief.recv(99))
except TimeoutError: print("not for others")
c.close(); time.sleep(.05); u.settimeout(.2); u.sendto(head + b" three", (address, port))
try: print(u.recv(99))
except (TimeoutError, ConnectionRefusedError): print("over")
`);
  assertEquals(said.split("\n"), ["b'hello'", "b'you'", "b''", "b'10.0.0.4 one'", "not for others", "over"]);
});

test("socks --auth lets in who knows the password", async (world) => {
  await using _server = await world.serve(HTTP_SERVER);
  await Deno.writeTextFile(`${world.folder}/users`, "me:secret\nyou:word:colon\n");
  await using socks = await world.start([
    "socks",
    "--listen",
    "0.0.0.0:1081",
    "--auth",
    `@${world.folder}/users`,
  ]);
  assertEquals(socks.stderr, "");
  const log = (name: string) =>
    `c = socket.create_connection(("127.0.0.1", 1081)); c.sendall(b"\\x05\\x02\\x00\\x02"); assert take(c, 2) == b"\\x05\\x02"\n` +
    `n, p = b"${name}".split(b"/"); c.sendall(b"\\x01" + bytes([len(n)]) + n + bytes([len(p)]) + p); print(c.recv(2)[1])\n`;
  const said = await world.python(
    `${CLIENT}${log("me/secret")}${log("you/word:colon")}${log("me/wrong")}${log("nobody/secret")}` +
      `c = socket.create_connection(("127.0.0.1", 1081)); c.sendall(b"\\x05\\x01\\x00"); print(c.recv(2))\n` +
      `c = socket.create_connection(("127.0.0.1", 1081)); c.sendall(b"\\x04\\x01\\x00\\x09" + ip("10.0.0.5") + b"\\x00"); print(c.recv(8)[:2])`,
  );
  assertEquals(said.split("\n"), ["0", "0", "1", "1", "b'\\x05\\xff'", "b'\\x00['"]);
  await socks.waitFor(/^lvl-ip: 127\.0\.0\.1:\d+: its name or password is wrong$/m);
  const open = await world.start(["socks", "--listen", "0.0.0.0:1082"]);
  await open.waitFor("Whoever reaches 0.0.0.0:1082 may use it; see --auth.");
  const busy = await world.run(["socks", "--listen", "1082"]);
  assertEquals(busy.code, 1);
  assertMatch(busy.stderr, /^lvl-ip: Cannot listen on 127\.0\.0\.1:1082: address already in use\n$/);
  const wrong = await world.run(["socks", "--auth", "nonsense"]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "'nonsense' is no NAME:PASSWORD");
});
