/** setup-net on real interfaces and rules, in private namespaces. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hasNamespaces, lvlIp, type Namespace, Namespaces } from "../support/netns.ts";
import { findTool } from "../../lib/host/command.ts";
import { unprivilegedProgram } from "../support/unprivileged.ts";

const isRoot = Deno.uid() === 0;
const SETUP = [...lvlIp, "setup-net"];

/** A world whose one namespace has an interface enp0s3; and, as root, a TUN node of its own with mode 0666. */
async function createHost(): Promise<{ world: Namespaces; host: Namespace }> {
  const world = await Namespaces.create();
  const [host] = world.all;
  await host.sh("ip link add enp0s3 type veth peer name cable && ip addr add 192.0.2.15/24 dev enp0s3");
  if (isRoot) await host.sh("mount -n -t tmpfs dev /dev/net && mknod -m 666 /dev/net/tun c 10 200");
  return { world, host };
}

/** Makes a tool as good as not installed. */
const hide = (host: Namespace, tool: string) =>
  host.sh(`mount -n --bind /dev/null "$(readlink -f ${findTool(tool)})"`);

/** Everything that setup-net could have touched. */
function snapshot(host: Namespace): Promise<string> {
  return host.sh(
    `ip -br addr; ip route; cat /proc/sys/net/ipv4/ip_forward; stat -c '%n %a' /dev/net /dev/net/*; ls /run
     if [ -s ${findTool("nft")} ]; then nft list ruleset; fi
     if [ -s ${findTool("iptables")} ]; then iptables -S; iptables -t nat -S; fi 2>&1`,
  );
}

for (const [kind, other] of [["nft", "iptables"], ["iptables", "nft"]]) {
  Deno.test({
    name: `setup-net with ${kind}: sets up, changes nothing the second time, and takes everything back`,
    ignore: !hasNamespaces() || !findTool(kind),
    async fn() {
      const { world, host } = await createHost();
      await using _ = world;
      if (findTool(other)) await hide(host, other);
      const before = await snapshot(host);
      const done = await host.exec([...SETUP, "--iface", "enp0s3"]);
      assertStringIncludes(done, "set up: tap0 (10.0.0.5/24, user root) goes out through enp0s3");
      const after = await snapshot(host);
      assertMatch(after, /tap0 .* 10\.0\.0\.5\/24/);
      assertMatch(
        after,
        kind === "nft" ? /ip saddr 10\.0\.0\.0\/24 oifname "enp0s3" masquerade/ : /lvl-ip -j MASQUERADE/,
      );
      assertMatch(after, /^1$/m);
      const again = await host.exec([...SETUP, "--iface", "enp0s3"]);
      assertStringIncludes(again, "already set up");
      assertEquals(await snapshot(host), after);
      const more = await host.exec([...SETUP, "--iface", "cable", "--json"]);
      assertEquals(JSON.parse(more).commands.length, 3);
      assertStringIncludes(
        await host.exec([...SETUP, "--undo"]),
        "everything that setup-net added is taken back",
      );
      // iptables leaves its empty chains, which let all through.
      const empty = (text: string) =>
        text.replace(/^# Warning.*\n|^table ip (nat|filter) \{[^}]*\}\s*\}\n/gm, "");
      assertEquals(empty(await snapshot(host)), empty(before));
      assertStringIncludes(await host.exec([...SETUP, "--undo"]), "nothing to undo");
    },
  });
}

Deno.test({
  name: "setup-net --dry-run: changes nothing, and a shell can do what it prints",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const before = await snapshot(host);
    const script = await host.exec([...SETUP, "--iface", "enp0s3", "--dry-run"]);
    assertEquals(await snapshot(host), before);
    await host.sh(script);
    assertStringIncludes(await host.exec([...SETUP, "--iface", "enp0s3"]), "already set up");
  },
});

Deno.test({
  name: "setup-net: what was there before stays after --undo",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    await host.sh("ip tuntap add dev tap0 mode tap user 0; echo 1 > /proc/sys/net/ipv4/ip_forward");
    await host.exec([...SETUP, "--iface", "enp0s3"]);
    await host.exec([...SETUP, "--undo"]);
    const after = await snapshot(host);
    assertMatch(after, /^tap0 +DOWN *$/m);
    assertMatch(after, /^1$/m);
  },
});

Deno.test({
  name: "setup-net: a TUN node that is missing is made, and removed again",
  ignore: !hasNamespaces() || !isRoot,
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    await host.sh("rm /dev/net/tun");
    await host.exec([...SETUP, "--iface", "enp0s3"]);
    assertEquals(await host.sh("stat -c %a%F /dev/net/tun"), "666character special file\n");
    await host.exec([...SETUP, "--undo"]);
    assertEquals(await host.sh("ls /dev/net"), "");
  },
});

Deno.test({
  name: "setup-net: a step that fails takes back those before it",
  ignore: !hasNamespaces() || !findTool("iptables"),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const real = `${world.directory}/iptables-real`;
    await Deno.writeTextFile(
      `${world.directory}/iptables`,
      `#!/bin/sh\ncase "$*" in *-A*MASQUERADE*) echo "no room" >&2; exit 4;; esac\nexec ${real} "$@"\n`,
      { mode: 0o755 },
    );
    await host.sh(`printf '#!/bin/sh\\nexec ${findTool("iptables")} "$@"\\n' > ${real}; chmod 755 ${real}`);
    const before = await snapshot(host);
    const env = { PATH: `${world.directory}:${Deno.env.get("PATH")}` };
    const failed = await host.run([...SETUP, "--iface", "enp0s3"], { env });
    assertEquals(failed.code, 1);
    assertMatch(
      failed.stderr,
      /^lvl-ip: Cannot run `iptables .*MASQUERADE`: no room \(what was done before is taken back\)\n$/,
    );
    const empty = (text: string) =>
      text.replace(/^# Warning.*\n|^table ip (nat|filter) \{[^}]*\}\s*\}\n/gm, "");
    assertEquals(empty(await snapshot(host)), empty(before));
  },
});

Deno.test({
  name: "setup-net: unknown interface, unknown user, clashing network, TAP in use: one sentence each",
  ignore: !hasNamespaces(),
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const complaint = async (...args: string[]) => {
      const { code, stderr } = await host.run([...SETUP, ...args]);
      assertEquals(code, 1);
      assertEquals(stderr.trim().split("\n").length, 1);
      return stderr;
    };
    assertStringIncludes(await complaint("--iface", "eth9"), "There is no interface eth9; this host has ");
    assertStringIncludes(
      await complaint("--iface", "enp0s3", "--owner", "no-such-user"),
      "There is no user no-such-user",
    );
    assertStringIncludes(
      await complaint("--iface", "enp0s3", "--gateway", "192.0.2.1/24"),
      "192.0.2.1/24 lies in the network of enp0s3",
    );
    assertStringIncludes(await complaint(), "--iface is missing");
    await host.exec([...SETUP, "--iface", "enp0s3"]);
    await using daemon = await host.spawn([...lvlIp, "daemon"]);
    await daemon.waitFor("ready");
    assertStringIncludes(await complaint("--undo"), "tap0 is in use");
  },
});

Deno.test({
  name: "setup-net without root: says the sudo command; the TAP it makes is the calling user's",
  ignore: !hasNamespaces() || !isRoot,
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    const user = await unprivilegedProgram(world);
    const refused = await host.run([...user, "setup-net", "--iface", "enp0s3"]);
    assertEquals(refused.code, 1);
    assertMatch(refused.stderr, /^lvl-ip: setup-net needs root: sudo .* setup-net --iface enp0s3\n$/);
    const plan = await host.exec([...user, "setup-net", "--iface", "enp0s3", "--dry-run"]);
    assertStringIncludes(plan, "ip tuntap add dev tap0 mode tap user 65534");
    await host.exec([...SETUP, "--iface", "enp0s3"], { env: { SUDO_UID: "65534" } });
    const link = await host.sh("ip -d link show tap0");
    assert(/user (nobody|65534)/.test(link), link);
  },
});

Deno.test({
  name: "setup-net: after it the daemon runs without root, and doctor knows before and after",
  ignore: !hasNamespaces() || !isRoot,
  async fn() {
    const { world, host } = await createHost();
    await using _ = world;
    await host.sh("chmod 600 /dev/net/tun; ip link set enp0s3 up; ip link set cable up");
    const user = await unprivilegedProgram(world);
    const env = { LVLIP_SOCKET: `${world.directory}/unprivileged/lvl-ip.sock` };
    const before = await host.run([...user, "doctor"], { env });
    assertEquals(before.code, 1, before.stdout + before.stderr);
    assertMatch(
      before.stdout,
      /^fail {2}\/dev\/net\/tun {2}may not be opened by you\n *mend: sudo chmod 666 \/dev\/net\/tun$/m,
    );
    assertStringIncludes(before.stdout, "No run is possible yet");
    await host.exec([...SETUP, "--iface", "enp0s3", "--owner", "65534"]);
    await using daemon = await host.spawn([...user, "daemon"], { env });
    await daemon.waitFor("ready");
    await host.exec([...user, "ping", "-c", "1", "10.0.0.5"], { env });
    const after = await host.run([...user, "doctor", "--json"], { env });
    const { possible, checks } = JSON.parse(after.stdout);
    assertEquals([after.code, possible], [0, { lab: true, daemon: true }], after.stdout);
    const notOk = checks.filter((check: { status: string }) => check.status !== "ok");
    // The rules are not for an ordinary user to read, and a test's world names no server.
    assertEquals(notOk.map((check: { name: string }) => check.name), ["masquerade", "name servers"]);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.finished()).code, 0);
    await host.exec([...SETUP, "--undo"]);
    assertEquals(await host.sh("stat -c %a /dev/net/tun"), "600\n");
  },
});
