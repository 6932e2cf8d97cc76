import { assertEquals } from "@std/assert";
import { linuxSysctl, SYSCTL_NAMES } from "../../lib/tcp/sysctl.ts";

Deno.test("the queueing discipline fq means pacing, any other none", () => {
  assertEquals(linuxSysctl("net.core.default_qdisc", "fq"), { pacing: true });
  assertEquals(linuxSysctl("net.core.default_qdisc", "fq_codel"), { pacing: false });
});

Deno.test("sysctls of handshakes", () => {
  assertEquals(linuxSysctl("net.ipv4.tcp_syncookies", "2"), { synCookies: 2 });
  assertEquals(linuxSysctl("tcp_fastopen", "519"), { fastOpen: 519 });
  assertEquals(linuxSysctl("net.ipv4.tcp_abort_on_overflow", "1"), { abortOnOverflow: true });
});

Deno.test("how few segments a burst may have", () => {
  assertEquals(linuxSysctl("net.ipv4.tcp_min_tso_segs", "4"), { gsoMinSegments: 4 });
  assertEquals(linuxSysctl("net.ipv4.tcp_min_tso_segs", "0"), null);
});

Deno.test("sysctls of ECN: accurate from 3 on, and no more than Linux knows", () => {
  assertEquals(["0", "2", "3", "5", "6"].map((value) => linuxSysctl("net.ipv4.tcp_ecn", value)), [
    { ecn: 0 },
    { ecn: 2 },
    { ecn: 3 },
    { ecn: 5 },
    null,
  ]);
  assertEquals(linuxSysctl("net.ipv4.tcp_ecn_option", "1"), { ecnOption: 1 });
  assertEquals(linuxSysctl("net.ipv4.tcp_ecn_option_beacon", "4"), null);
});

Deno.test("every name in the list is known; no other is", () => {
  for (const name of SYSCTL_NAMES) assertEquals(linuxSysctl(name, "cubic") === undefined, false, name);
  assertEquals(linuxSysctl("net.ipv4.tcp_nonsense", "1"), undefined);
});
