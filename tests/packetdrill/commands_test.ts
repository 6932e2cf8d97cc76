import { assertEquals } from "@std/assert";
import { interpretCommands } from "./commands.ts";

Deno.test("sysctls become settings, whoever sets them", () => {
  const { settings, notes } = interpretCommands(`../common/defaults.sh
../common/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 /proc/sys/net/ipv4/tcp_wmem="4096 50000 4194304"
sysctl -q -w net.ipv4.tcp_reordering=5; sysctl -e -q net/ipv4/tcp_ecn=1
echo 1 > /proc/sys/net/ipv4/tcp_timestamps
sysctl -q net.ipv4.tcp_rmem="4096 540000 $((15*1024*1024))"`);
  assertEquals(notes, []);
  assertEquals(settings.sack, false);
  assertEquals(settings.sendBuffer, 50000);
  assertEquals(settings.reordering, 5);
  assertEquals(settings.ecn, 1);
  assertEquals(settings.timestamps, true);
  assertEquals([settings.receiveBuffer, settings.receiveBufferMax], [270000, 15 << 20]);
  assertEquals(settings.synRetries, 5);
});

Deno.test("FreeBSD's names, routes and states of sockets", () => {
  assertEquals(interpretCommands("sysctl -w net.inet.tcp.rfc1323=0").settings, {
    timestamps: false,
    windowScaling: false,
  });
  assertEquals(interpretCommands("ip route change 192.0.2.1 dev tun0 initcwnd 11 rto_min 5ms").settings, {
    initialWindow: 11,
    rtoMinUs: 5000,
  });
  const { assertions } = interpretCommands(
    "sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1",
  );
  assertEquals(assertions, [{ state: "TIME_WAIT", count: 1, owned: true }]);
});

Deno.test("what has no equivalent is noted, what never matters is not", () => {
  assertEquals(
    interpretCommands("ethtool -K tun0 tso off\n/tmp/sysctl_restore_$PPID.sh\ntc qdisc add dev tun0").notes,
    [
      "ignored: ethtool -K tun0 tso off",
    ],
  );
  assertEquals(interpretCommands("sysctl -w net.ipv4.tcp_autocorking=1").notes, [
    "ignored: net.ipv4.tcp_autocorking=1",
  ]);
});
