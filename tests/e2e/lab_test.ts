/** The lab, run in a private world so that what it leaves behind would show. */
import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { hasNamespaces, lvlIp, type Namespace, Namespaces } from "../support/netns.ts";
import type { WorldProcess } from "../support/process.ts";
import { unprivilegedProgram } from "../support/unprivileged.ts";

const isRoot = Deno.uid() === 0;
const TIMEOUT = { timeoutMs: 60_000 };

/** A world with a TUN node of mode 0666, as ordinary distributions have it. */
async function createHost(mode = "666"): Promise<{ world: Namespaces; host: Namespace }> {
  const world = await Namespaces.create();
  const [host] = world.all;
  if (isRoot) await host.sh(`mount -n -t tmpfs dev /dev/net && mknod -m ${mode} /dev/net/tun c 10 200`);
  return { world, host };
}

/** What could be left behind: interfaces, namespaces, mounts, files, processes. */
function snapshot({ host, world }: { host: Namespace; world: Namespaces }): Promise<string> {
  return host.sh(
    `ip -br link; ip netns; cat /proc/mounts; ls -R /run; ls ${world.directory}; ls /dev/net
     for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline | grep -v -e ' for process' -e '^tr ' || true; done`,
  );
}

/** Waits until the world looks as before: the kernel takes namespaces away in its own time. */
async function assertNothingLeft(
  world: { host: Namespace; world: Namespaces },
  before: string,
): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if (await snapshot(world) === before) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(await snapshot(world), before);
}

Deno.test({
  name: "lab --router: the same through a second stack that forwards",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const before = await snapshot({ world, host });
    const { code, stdout, stderr } = await host.run([...lvlIp, "lab", "--router", "--size", "3M"], TIMEOUT);
    assertEquals(code, 0, stdout + stderr);
    assertMatch(stdout, /64 bytes from 8\.8\.8\.8: icmp_seq=1 ttl=62 /);
    assertEquals(stdout.match(/the same at both ends/g)?.length, 2);
    assertGreaterOrEqual(Number(/the isp passed on (\d+) packets/.exec(stdout)?.[1]), 100);
    await assertNothingLeft({ world, host }, before);
  },
});

const users = isRoot ? ["root", "nobody"] : ["an ordinary user"];

for (const user of users) {
  Deno.test({
    name: `lab as ${user}: ping, connect and a transfer each way succeed, and nothing is left`,
    ignore: !hasNamespaces(),
    async fn() {
      const { world, host } = await createHost();
      await using _ = world;
      const program = user === "nobody" ? await unprivilegedProgram(world) : lvlIp;
      const before = await snapshot({ world, host });
      const { code, stdout, stderr } = await host.run([...program, "lab", "--size", "3M"], TIMEOUT);
      assertEquals(code, 0, stdout + stderr);
      assertMatch(stdout, /64 bytes from 8\.8\.8\.8: icmp_seq=/);
      assertStringIncludes(stdout, "8.8.8.8 answered 3 of 3");
      assertMatch(stdout, /^ {2}server\.lab +60 +A +192\.168\.99\.1 +8\.8\.8\.8$/m);
      assertStringIncludes(stdout, "server.lab is 192.168.99.1, says 8.8.8.8");
      assertMatch(stdout, /^ {2}hello$/m);
      assertStringIncludes(stdout, "192.168.99.1:2048 echoed hello");
      assertEquals(stdout.match(/bit\/s, SHA-256 [0-9a-f]{12}\.\.\. the same at both ends/g)?.length, 2);
      assertStringIncludes(stdout, "daemon ended on SIGTERM");
      assertMatch(stdout, /^All is well: /m);
      assert(!stdout.includes("\x1b"), "no colours where there is no terminal");
      await assertNothingLeft({ world, host }, before);
    },
  });

  Deno.test({
    name: `lab as ${user}: killed with SIGKILL it leaves nothing either`,
    ignore: !hasNamespaces(),
    async fn() {
      const { world, host } = await createHost();
      await using _ = world;
      const program = user === "nobody" ? await unprivilegedProgram(world) : lvlIp;
      const before = await snapshot({ world, host });
      const lab = await host.spawn([...program, "lab", "--", "sh", "-c", "echo up; exec sleep 1000"]);
      await lab.waitFor(/^up$/m);
      lab.kill("SIGKILL");
      await lab.status;
      await assertNothingLeft({ world, host }, before);
    },
  });
}

Deno.test({
  name:
    "lab -- CMD: lvl-ip is on its PATH, hosts have names, stdout and stdin are its own, its status is passed on",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const run = (script: string, stdin?: string) =>
      host.run([...lvlIp, "lab", "--", "sh", "-c", script], { ...TIMEOUT, stdin });
    assertEquals((await run("exit 7")).code, 7);
    assertEquals((await run("kill -TERM $$")).code, 143);
    const through = await run("cat; lvl-ip connect 192.168.99.1:2048 --send again", "typed ");
    assertEquals([through.code, through.stdout], [0, "typed again"]);
    const path = await run("lvl-ip traceroute server");
    assertMatch(path.stdout, / 1 {2}router\.lab \(10\.0\.0\.5\) [^]* 3 {2}server\.lab \(192\.168\.99\.1\) /);
    const missing = await host.run([...lvlIp, "lab", "--", "no-such-command"], TIMEOUT);
    assertEquals(missing.code, 127);
    assertMatch(missing.stderr, /no-such-command/);
  },
});

Deno.test({
  name:
    "lab: the kernel's own curl reaches the server's HTTP, and the stack answers the kernel's TCP with a reset",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const ask = `fetch("http://192.168.99.1/").then(r => r.text()).then(t => console.log(t.trim()));
      require("net").connect(9, "10.0.0.4").on("error", e => console.log(e.code))`;
    const done = await host.run([...lvlIp, "lab", "--", "node", "-e", ask], TIMEOUT);
    assertStringIncludes(done.stdout, "hello 10.0.2.15, this is the lab's server", done.stderr);
    assertStringIncludes(done.stdout, "ECONNREFUSED", done.stderr);
  },
});

Deno.test({
  name: "lab --json --impair: an object a line, and the line is as bad as asked",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const options = ["--json", "--size", "50k", "--impair", "delay=20ms"];
    const { code, stdout, stderr } = await host.run([...lvlIp, "lab", ...options], TIMEOUT);
    assertEquals(code, 0, stdout + stderr);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const steps = events.filter((event) => event.event === "step");
    assertEquals(steps.map((step) => step.name), [
      "namespaces",
      "setup-net",
      "servers",
      "daemon",
      "ping",
      "resolve",
      "connect",
      "transfer-up",
      "transfer-down",
      "daemon-end",
    ]);
    assert(steps.every((step) => step.ok));
    assertEquals(events.at(-1).ok, true);
    const times = events.map((event) => /time=([0-9.]+) ms/.exec(event.line ?? "")).filter((match) =>
      match !== null
    );
    assertEquals(times.length, 3);
    for (const [, ms] of times) assertGreaterOrEqual(Number(ms), 40);
  },
});

async function interrupt(signal: Deno.Signal): Promise<{ lab: WorldProcess; code: number }> {
  const { world, host } = await createHost();
  await using _ = world;
  const before = await snapshot({ world, host });
  const lab = await host.spawn([...lvlIp, "lab", "--size", "1G", "--impair", "rate=10mbit"]);
  await lab.waitFor("1 GB to 192.168.99.1", 20_000);
  lab.kill(signal);
  const { code } = await lab.finished(10_000);
  await assertNothingLeft({ world, host }, before);
  return { lab, code };
}

Deno.test({
  name: "lab: Ctrl-C and SIGTERM end it soon and cleanly",
  ignore: !hasNamespaces(),
  async fn() {
    for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const { lab, code } = await interrupt(signal);
      assertEquals(code, status, lab.stdout + lab.stderr);
      assertMatch(lab.stdout, /^Interrupted after /m);
    }
  },
});

Deno.test({
  name: "lab: what the host does not allow is said in one sentence with the command that mends it",
  ignore: !hasNamespaces() || !isRoot,
  async fn() {
    const { world, host } = await createHost("600");
    await using _ = world;
    const user = await unprivilegedProgram(world);
    const complaint = async (command: readonly string[]) => {
      const { code, stdout, stderr } = await host.run(command, TIMEOUT);
      assertEquals([code, stdout], [1, ""]);
      return stderr;
    };
    assertEquals(
      await complaint([...user, "lab"]),
      "lvl-ip: lab needs /dev/net/tun, which only root may open here: sudo chmod 666 /dev/net/tun\n",
    );
    await host.sh("chmod 666 /dev/net/tun");
    const limit =
      'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --ambient-caps=-all --inh-caps=-all "$@"';
    const banned = user.flatMap((word) =>
      word === "env"
        ? ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", limit, "sh", "env"]
        : word
    );
    assertMatch(
      await complaint([...banned, "lab"]),
      /^lvl-ip: lab needs namespaces, but this host denies them to ordinary users \(.*\): sudo sysctl -w user\.max_user_namespaces=15000\n$/,
    );
    await host.sh("rm /dev/net/tun");
    assertMatch(
      await complaint([...lvlIp, "lab"]),
      /^lvl-ip: lab needs \/dev\/net\/tun, which is not there: sh -c 'mkdir/,
    );
    assertMatch(
      await complaint([...lvlIp, "lab", "--size", "much"]),
      /^lvl-ip: --size must be a number of bytes/,
    );
  },
});
