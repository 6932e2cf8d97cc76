import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HELLO, httpServer, makeSite, programTest } from "../support/programs.ts";
import { hasPrograms, KERNEL, STACK } from "../support/shim.ts";

programTest("curl, wget, urllib, nc and bash as clients", ["wget", "nc"], async (world) => {
  const folder = await makeSite(world);
  await using server = await world.kernelServer(80, httpServer(folder, 80));
  const url = `http://${KERNEL}/hello`;
  assertEquals(await world.exec(["curl", "-sS", url]), HELLO);
  assertEquals(await world.exec(["wget", "-qO-", url]), HELLO);
  const urllib = `import urllib.request as u; print(u.urlopen("${url}").read().decode(), end="")`;
  assertEquals(await world.exec(["python3", "-c", urllib]), HELLO);
  const bash = `exec 3<>/dev/tcp/${KERNEL}/80; printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' >&3; tail -n1 <&3`;
  assertEquals(await world.exec(["bash", "-c", bash]), HELLO);
  const request = { stdin: "GET /hello HTTP/1.0\r\n\r\n" };
  assertStringIncludes(await world.exec(["nc", KERNEL, "80"], request), HELLO);
  const digest = await world.net.sh(`sha256sum < ${folder}/big`);
  const got = await world.exec(["sh", "-c", `curl -sS http://${KERNEL}/big | sha256sum`]);
  assertEquals(got, digest);
  const urls = Array.from({ length: 50 }, () => ["-o", "/dev/null", url]).flat();
  await world.exec(["curl", "-sS", "-Z", "--parallel-max", "50", "-f", ...urls]);
  // Every request came from the stack's address: none went through the kernel.
  server.kill();
  const { stderr } = await server.finished();
  const sources = new Set(stderr.match(/^\S+(?= - - )/gm));
  assertEquals([...sources].filter((source) => source !== KERNEL), [STACK]);
  const refused = await world.net.run(world.onStack(["curl", "-sS", `http://${KERNEL}:81/`]));
  assertEquals(refused.code, 7);
});

programTest("python's servers: http.server, forks, threads and asyncio", ["nc"], async (world) => {
  const folder = await makeSite(world);
  await using _http = await world.stackServer(8000, httpServer(folder, 8000));
  const digest = await world.net.sh(`sha256sum < ${folder}/big`);
  assertEquals(await world.net.sh(`curl -sS http://${STACK}:8000/big | sha256sum`), digest);
  const forking = `
import socketserver
class Handler(socketserver.StreamRequestHandler):
  def handle(self): self.wfile.write(b"you said " + self.rfile.readline())
socketserver.TCPServer.allow_reuse_address = True
socketserver.KINDTCPServer(("", PORT), Handler).serve_forever()`;
  for (const [kind, port] of [["Forking", 8001], ["Threading", 8002]] as const) {
    const code = forking.replace("KIND", kind).replace("PORT", `${port}`);
    await using _server = await world.stackServer(port, ["python3", "-c", code]);
    for (let i = 0; i < 5; i++) {
      const answer = await world.net.exec(["nc", "-N", STACK, `${port}`], { stdin: `${kind} ${i}\n` });
      assertEquals(answer, `you said ${kind} ${i}\n`);
    }
  }
  const asyncio = `
import asyncio
async def handle(reader, writer):
  writer.write(await reader.readline()); await writer.drain(); writer.close()
async def main():
  server = await asyncio.start_server(handle, "0.0.0.0", 8003)
  await server.serve_forever()
asyncio.run(main())`;
  await using _asyncio = await world.stackServer(8003, ["python3", "-c", asyncio]);
  const client = `
import asyncio
async def ask(i):
  reader, writer = await asyncio.open_connection("${STACK}", 8003)
  writer.write(b"%d\\n" % i); answer = await reader.read(); writer.close()
  return int(answer)
async def main(): print(sum(await asyncio.gather(*[ask(i) for i in range(100)])))
asyncio.run(main())`;
  assertEquals(await world.net.exec(["python3", "-c", client]), "4950\n");
  // Both ends on the stack: its own address, through its own loopback.
  assertEquals(await world.exec(["python3", "-c", client]), "4950\n");
  await Promise.all([_http.kill(), _asyncio.kill()]);
  await Promise.all([_http.finished(), _asyncio.finished()]);
});

programTest(
  "nginx with workers of another user: files, keep-alive, reload",
  ["nginx", "ab"],
  async (world) => {
    const folder = await makeSite(world);
    await Deno.chmod(world.directory, 0o755);
    await Deno.writeTextFile(
      `${world.directory}/nginx.conf`,
      `worker_processes 4; daemon off; pid ${world.directory}/nginx.pid; error_log ${world.directory}/error.log info;
     events { worker_connections 1024; }
     http { access_log off; sendfile on;
       client_body_temp_path ${world.directory}/b; proxy_temp_path ${world.directory}/p;
       fastcgi_temp_path ${world.directory}/f; uwsgi_temp_path ${world.directory}/u; scgi_temp_path ${world.directory}/s;
       server { listen 8080; root ${folder}; } server { listen 8081 reuseport; root ${folder}; } }`,
    );
    await using server = await world.stackServer(8080, ["nginx", "-c", `${world.directory}/nginx.conf`]);
    const digest = await world.net.sh(`sha256sum < ${folder}/big`);
    for (const port of [8080, 8081]) {
      assertEquals(await world.net.sh(`curl -sS http://${STACK}:${port}/big | sha256sum`), digest);
    }
    const ab = (...words: string[]) => world.net.exec(["ab", "-q", ...words, `http://${STACK}:8080/hello`]);
    assertMatch(await ab("-k", "-n", "10000", "-c", "200"), /Failed requests: +0\n/);
    const load = ab("-n", "3000", "-c", "50");
    await world.net.sh(`kill -HUP $(cat ${world.directory}/nginx.pid)`);
    assertMatch(await load, /Failed requests: +0\n/);
    assertEquals(await world.net.exec(["curl", "-sS", `http://${STACK}:8080/hello`]), HELLO);
    await world.net.sh(`kill -QUIT $(cat ${world.directory}/nginx.pid)`);
    assertEquals((await server.finished()).code, 0);
    const log = await Deno.readTextFile(`${world.directory}/error.log`);
    assertEquals(log.match(/\[(alert|crit|error|emerg)\].*/g), null);
    assert(!world.daemon.stderr.includes("Refused"));
  },
  // A namespace made without root knows one user only.
  Deno.uid() === 0,
);

programTest(
  "redis both ways, and openssl both ways",
  ["redis-server", "redis-cli", "openssl"],
  async (world) => {
    const server = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no", "--port"];
    await using theirs = await world.kernelServer(6379, [...server, "6379"]);
    assertEquals(await world.exec(["redis-cli", "-h", KERNEL, "set", "a", "1"]), "OK\n");
    await world.exec(["redis-benchmark", "-h", KERNEL, "-q", "-n", "2000", "-t", "set,get"]);
    theirs.kill();
    await using ours = await world.stackServer(6380, [...server, "6380"]);
    await world.net.exec(["redis-benchmark", "-h", STACK, "-p", "6380", "-q", "-n", "2000", "-t", "set,get"]);
    // Through the stack's own loopback.
    await world.net.run(world.onStack(["redis-cli", "-p", "6380", "shutdown", "nosave"]));
    assertEquals((await ours.finished()).code, 0);

    const [key, certificate] = [`${world.directory}/key`, `${world.directory}/certificate`];
    await world.net.sh(
      `openssl req -x509 -newkey rsa:2048 -nodes -keyout ${key} -out ${certificate} -subj /CN=x 2>&1`,
    );
    const tls = (port: number) => [
      ...["openssl", "s_server", "-accept", `${port}`, "-key", key, "-cert", certificate, "-www", "-quiet"],
    ];
    await using kernelTls = await world.kernelServer(4433, tls(4433));
    const question = { stdin: "GET / HTTP/1.0\r\n\r\n" };
    const client = ["openssl", "s_client", "-quiet", "-connect", `${KERNEL}:4433`];
    assertStringIncludes(await world.exec(client, question), "200 ok");
    kernelTls.kill();
    await using stackTls = await world.stackServer(4434, tls(4434));
    assertStringIncludes(await world.net.exec(["curl", "-sSk", `https://${STACK}:4434/`]), "Protocol");
    stackTls.kill();
    await stackTls.finished();
  },
);

programTest("iperf3 in both directions, both ways round, over TCP and UDP", ["iperf3"], async (world) => {
  for (const words of [[], ["-R"], ["-P", "8"], ["-u", "-b", "50M"]]) {
    await using _server = await world.kernelServer(5201, ["iperf3", "-s"]);
    const report = JSON.parse(await world.exec(["iperf3", "-c", KERNEL, "-t", "1", "-J", ...words]));
    assertEquals(report.error, undefined);
    const { bits_per_second: rate } = report.end.sum_received ?? report.end.sum;
    assert(rate > 20e6, `iperf3 ${words.join(" ")}: ${rate} bit/s`);
    _server.kill();
    await using ours = await world.stackServer(5202, ["iperf3", "-s", "-p", "5202"]);
    const back = await world.net.exec(["iperf3", "-c", STACK, "-p", "5202", "-t", "1", "-J", ...words]);
    assertEquals(JSON.parse(back).error, undefined);
    ours.kill();
    await ours.finished();
  }
});

programTest("socat over UDP and TCP, ping, and ssh with its server", ["socat", "ssh"], async (world) => {
  await using echo = await world.net.spawn(["socat", "UDP-RECVFROM:7004,fork", "EXEC:cat"]);
  // Until it listens, and answers within the second that its client waits for it.
  let answer = "";
  for (let tries = 0; tries < 10 && answer === ""; tries++) {
    const client = ["socat", "-t", "1", "-", `UDP:${KERNEL}:7004`];
    answer = (await world.net.run(world.onStack(client), { stdin: "datagram\n" })).stdout;
  }
  assertEquals(answer, "datagram\n");
  echo.kill();
  await using receiver = await world.spawn(["socat", "-u", "UDP-RECV:7003", "STDOUT"]);
  for (let tries = 0; tries < 50 && receiver.stdout === ""; tries++) {
    await world.net.exec(["socat", "-u", "-", `UDP:${STACK}:7003`], { stdin: "to the stack\n" });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assertMatch(receiver.stdout, /^to the stack\n/);
  receiver.kill();
  await receiver.finished();
  if (hasPrograms("ping")) {
    assertStringIncludes(await world.exec(["ping", "-c", "3", "-i", "0.2", KERNEL]), " 0% packet loss");
  }
  if (!hasPrograms("sshd")) return;
  const at = world.directory;
  await world.net.sh(`mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f ${at}/host &&
    ssh-keygen -q -t ed25519 -N '' -f ${at}/user && cp ${at}/user.pub ${at}/keys`);
  const sshd = (port: number) => [
    ...["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", `${port}`, "-h", `${at}/host`],
    ...["-o", `AuthorizedKeysFile=${at}/keys`, "-o", "StrictModes=no", "-o", "PidFile=none"],
  ];
  const ssh = (address: string, port: number) => [
    ...["ssh", "-F", "none", "-i", `${at}/user`, "-p", `${port}`, "-o", "StrictHostKeyChecking=no"],
    ...["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", `root@${address}`, "echo logged in"],
  ];
  if (Deno.uid() !== 0) return;
  await using kernel = await world.kernelServer(2222, sshd(2222));
  assertEquals(await world.exec(ssh(KERNEL, 2222)), "logged in\n");
  kernel.kill();
  await using stack = await world.stackServer(2223, sshd(2223));
  assertEquals(await world.net.exec(ssh(STACK, 2223)), "logged in\n");
  stack.kill();
  await stack.finished();
});
