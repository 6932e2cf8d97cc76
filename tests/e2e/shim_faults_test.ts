import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { status } from "../../mod.ts";
import { lvlIp } from "../support/netns.ts";
import { noWorld, programTest } from "../support/programs.ts";
import { KERNEL, ShimWorld, STACK } from "../support/shim.ts";

/** Reads what comes, and says how that ended: "end" or the errno's name. */
const READER = `
import socket, sys, errno
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
how = "end"
try:
  while s.recv(65536): pass
except OSError as error: how = errno.errorcode[error.errno]
print("ended", how, flush=True)`;

/** Sends without end to each who comes, and says how that ended. */
const SENDER = `
import socket, sys, errno
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
  s, _ = listener.accept()
  try:
    while True: s.sendall(b"x" * 65536)
  except OSError as error: print("ended", errno.errorcode[error.errno], flush=True)`;

const python = (code: string, ...words: string[]) => ["python3", "-c", code, ...words];

/** How a client saw the end of a server that was killed in mid-transfer, or the server that of its client. */
async function endSeen(world: ShimWorld, onStack: boolean, killsClient: boolean): Promise<string> {
  const port = (onStack ? 7001 : 7002) + (killsClient ? 10 : 0);
  const [killed, other] = killsClient ? [READER, SENDER] : [SENDER, READER];
  const serving = python(killsClient ? other : killed, `${port}`);
  await using server = onStack
    ? await world.stackServer(port, serving)
    : await world.kernelServer(port, serving);
  const asking = python(killsClient ? killed : other, onStack ? STACK : KERNEL, `${port}`);
  // The one that is killed is on the kernel's stack, and then on ours.
  await using client = onStack ? await world.net.spawn(asking) : await world.spawn(asking);
  await client.waitFor(/connected/);
  await new Promise((resolve) => setTimeout(resolve, 200));
  (killsClient ? client : server).kill("SIGKILL");
  const witness = killsClient ? server : client;
  const [seen] = await witness.waitFor(/ended \w+/);
  server.kill("SIGKILL");
  await Promise.all([client.finished(), server.finished()]);
  // A reset while it waits for room, or just before it writes on.
  return seen.replace("EPIPE", "ECONNRESET");
}

programTest("kill -9 in mid-transfer: the peer is told as by the kernel", [], async (world) => {
  for (const killsClient of [false, true]) {
    const seen = [await endSeen(world, false, killsClient), await endSeen(world, true, killsClient)];
    assertEquals(seen[0], seen[1]);
  }
});

programTest("kill -9 of one of several that share a socket: the others go on", [], async (world) => {
  const shared = `
import os, socket
os.setpgrp()
listener = socket.create_server(("0.0.0.0", 7003))
for i in range(3):
  if os.fork() == 0:
    while True:
      s, _ = listener.accept()
      s.sendall(b"%d" % os.getpid()); s.close()
print("group", os.getpid(), flush=True)
os.wait(); os.wait(); os.wait()`;
  await using server = await world.stackServer(7003, python(shared));
  const [, group] = await server.waitFor(/group (\d+)/);
  const question = `import socket; print(socket.create_connection(("${STACK}", 7003)).recv(99).decode())`;
  const ask = async () => (await world.net.exec(python(question))).trim();
  const first = await ask();
  // As the world numbers processes, which `kill` runs in.
  await world.net.exec(["kill", "-9", first]);
  for (let i = 0; i < 8; i++) {
    const next = await ask();
    assert(next !== first && Number(next) > 0, next);
  }
  await world.net.exec(["kill", "-9", "--", `-${group}`]);
  await server.finished();
});

programTest("the socket is removed: programs that run go on, and open new sockets", [], async (world) => {
  const program = `
import socket, sys
first = socket.create_connection(("${KERNEL}", 7007))
print("open", flush=True)
sys.stdin.readline()
second = socket.create_connection(("${KERNEL}", 7007))
for s in first, second:
  s.sendall(b"echo"); print(s.recv(9), flush=True)`;
  await using server = await world.kernelServer(7007, [
    "socat",
    "TCP-LISTEN:7007,fork,reuseaddr",
    "EXEC:cat",
  ]);
  await using client = await world.spawn(python(program), { stdin: "" });
  await client.waitFor(/open/);
  const away = `${world.socketPath}.away`;
  await Deno.rename(world.socketPath, away);
  await client.write("\n");
  assertEquals((await client.finished()).stdout, "open\nb'echo'\nb'echo'\n");
  server.kill();
  const late = await world.net.run(world.onStack(["true"]));
  assertStringIncludes(late.stderr, "No lvl-ip daemon answers at");
  await Deno.rename(away, world.socketPath);
});

const CHURN = decodeURIComponent(new URL("programs/churn.c", import.meta.url).pathname);

async function buildChurn(world: ShimWorld): Promise<string> {
  const program = `${world.directory}/churn`;
  await world.net.exec(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program, CHURN]);
  return program;
}

/** Descriptors of sockets that a process has. Others are the runtime's: its caches' files come and go. */
function socketsOf(pid: number): number {
  let count = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      if (Deno.readLinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:")) count++;
    } catch {
      // Closed in between.
    }
  }
  return count;
}

/** What of the daemon must not grow: descriptors, and connections that are neither over nor waiting to be forgotten. */
async function held(world: ShimWorld): Promise<{ descriptors: number; connections: number }> {
  const { connections } = await status({ socketPath: world.socketPath });
  const descriptors = socketsOf(world.daemon.pid);
  const open = connections.filter(({ kind, state }) => kind === "stream" && state !== "TIME-WAIT");
  return { descriptors, connections: open.length };
}

async function untilEqual(get: () => Promise<unknown>, wanted: unknown): Promise<void> {
  for (let tries = 0; JSON.stringify(await get()) !== JSON.stringify(wanted) && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(await get(), wanted);
}

programTest(
  "connections that come and go leave no descriptor and no connection behind",
  [],
  async (world) => {
    const churn = await buildChurn(world);
    await using there = await world.kernelServer(7008, [churn, "serve", "7008"]);
    await using here = await world.stackServer(7009, [churn, "serve", "7009"]);
    const before = await held(world);
    await world.exec([churn, "connect", KERNEL, "7008", "4000"]);
    await world.net.exec([churn, "connect", STACK, "7009", "4000"]);
    // Through the stack's own loopback.
    await world.exec([churn, "connect", STACK, "7009", "400"]);
    // What a program's start or another question held open for a moment may have counted before.
    const left = async () => {
      const { descriptors, connections } = await held(world);
      return { connections, hasGrown: descriptors > before.descriptors };
    };
    await untilEqual(left, { connections: before.connections, hasGrown: false });
    const { counters } = await status({ socketPath: world.socketPath });
    assert(counters.bufferedBytes < 4 << 20, `${counters.bufferedBytes} bytes`);
    here.kill();
    there.kill();
    await here.finished();
  },
);

const IDLE = 10_000;

/** CPU time that a process has used, clock ticks of 10 ms. */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

programTest(`${IDLE} idle connections of one program cost little memory and no time`, [], async (world) => {
  const churn = await buildChurn(world);
  await using server = await world.kernelServer(7010, [churn, "serve", "7010"]);
  await using holder = await world.spawn([churn, "hold", KERNEL, "7010", `${IDLE}`], { stdin: "" });
  await holder.waitFor(/holding/, 60_000);
  assertEquals((await held(world)).connections, IDLE);
  const before = await cpuTicks(world.daemon.pid);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const spent = await cpuTicks(world.daemon.pid) - before;
  const memory = await Deno.readTextFile(`/proc/${world.daemon.pid}/status`);
  const residentKb = Number(memory.match(/VmRSS:\s+(\d+)/)![1]);
  assert(spent <= 5, `${spent} ticks of CPU in a second without anything to do`);
  assert(residentKb < 300 << 10, `${residentKb} KB`);
  await holder.endInput();
  await holder.finished();
  server.kill();
});

/** Programs of a daemon that is killed: what they are told by every call, none of which may wait for ever. */
Deno.test({
  name: "run: kill -9 of the daemon: errors for its programs, and the next one serves new sockets",
  ignore: noWorld,
  async fn() {
    await using world = await ShimWorld.start();
    const program = `
import errno, socket, sys, threading, select
def told(what, call):
  try: result = call()
  except OSError as error: result = errno.errorcode[error.errno]
  print(what, result, flush=True)
listener = socket.create_server(("0.0.0.0", 7004))
stream = socket.create_connection(("${KERNEL}", 7005))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", 7006))
print("open", flush=True)
sys.stdin.readline()
told("recv", lambda: stream.recv(10))
told("send", lambda: stream.send(b"x"))
told("accept", lambda: listener.accept())
told("recvfrom", lambda: datagrams.recvfrom(10))
told("sendto", lambda: datagrams.sendto(b"x", ("${KERNEL}", 9)))
told("option", lambda: stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))
told("name", lambda: stream.getpeername())
told("connect", lambda: socket.create_connection(("${KERNEL}", 7005)))
print("told", flush=True)
sys.stdin.readline()
told("again", lambda: socket.create_connection(("${KERNEL}", 7005)).close())`;
    await using _server = await world.kernelServer(
      7005,
      python(`
import socket, time
listener = socket.create_server(("0.0.0.0", 7005))
held = []
while True: held.append(listener.accept())`),
    );
    await using client = await world.spawn(python(program), { stdin: "" });
    await client.waitFor(/open/);
    world.daemon.kill("SIGKILL");
    await world.daemon.finished();
    await client.write("\n");
    await client.waitFor(/told/);
    assertEquals(client.stdout.trim().split("\n"), [
      "open",
      "recv ECONNRESET",
      "send ECONNRESET",
      "accept EINVAL",
      "recvfrom ENETDOWN",
      "sendto ENETDOWN",
      "option None",
      "name ENOTCONN",
      "connect ENETDOWN",
      "told",
    ]);
    await using daemon = await world.net.spawn([...lvlIp, "daemon", "--socket", world.socketPath]);
    await daemon.waitFor(/ready/);
    await client.write("\n");
    await client.waitFor(/again None/);
    assertStringIncludes(client.stderr, "lvl-ip: no daemon answers at");
  },
});
