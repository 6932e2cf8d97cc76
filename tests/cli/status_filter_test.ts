import { assertEquals, assertThrows } from "@std/assert";
import { parseFilter } from "../../lib/cli/status_filter.ts";
import { socket } from "./status_fixture.ts";

const SOCKETS = [
  socket({ state: "ESTAB", localPort: 22, remoteAddress: "10.0.0.5", remotePort: 4000 }),
  socket({ state: "ESTAB", localPort: 5000, remoteAddress: "192.168.99.1", remotePort: 443 }),
  socket({ state: "TIME-WAIT", localPort: 5001, remoteAddress: "192.168.99.1", remotePort: 80 }),
  socket({ state: "SYN-SENT", localPort: 5002, remoteAddress: "8.8.8.8", remotePort: 80 }),
  socket({
    kind: "listener",
    state: "LISTEN",
    localAddress: "0.0.0.0",
    localPort: 22,
    remoteAddress: "0.0.0.0",
  }),
  socket({
    kind: "datagram",
    state: "UNCONN",
    localAddress: "0.0.0.0",
    localPort: 53,
    remoteAddress: "0.0.0.0",
  }),
];

/** The positions of the sockets that a filter lets through. */
function shown(filter: string): number[] {
  const test = parseFilter(filter === "" ? [] : filter.split(" "));
  return SOCKETS.flatMap((each, i) => test(each) ? [i] : []);
}

Deno.test("filters as ss(8) has them", () => {
  const cases: [filter: string, sockets: number[]][] = [
    ["", [0, 1, 2, 3, 4, 5]],
    ["state established", [0, 1]],
    ["state listening", [4]],
    ["state connected", [0, 1, 2, 3]],
    ["state synchronized", [0, 1, 2]],
    ["state bucket", [2]],
    ["exclude time-wait", [0, 1, 3, 4, 5]],
    ["sport = :22", [0, 4]],
    ["sport 22", [0, 4]],
    ["dport eq 443", [1]],
    ["dport != :80 state connected", [0, 1]],
    ["sport >= :5001", [2, 3]],
    ["sport>=5001", [2, 3]],
    ["sport lt 53", [0, 4]],
    ["dst 192.168.99.1", [1, 2]],
    ["dst 192.168.0.0/16:443", [1]],
    ["dst = :80", [2, 3]],
    ["src 10.0.0.4:22", [0]],
    ["state established and ( sport = :22 or dport = :443 )", [0, 1]],
    ["not state connected", [4, 5]],
    ["! ( sport = :22 or dport = :80 )", [1, 5]],
    ["sport = :22 or dst 8.8.8.8 state syn-sent", [0, 3, 4]],
  ];
  for (const [filter, expected] of cases) assertEquals(shown(filter), expected, filter);
});

Deno.test("what is wrong with a filter is told", () => {
  const cases: [filter: string, message: string][] = [
    ["state", "a state is missing at the end"],
    ["state open", "'open' is no state"],
    ["sport = http", "'http' is no port"],
    ["sport 65536", "'65536' is no port"],
    ["dst somewhere", "'somewhere' is no ADDRESS[/LENGTH][:PORT]"],
    ["dst 10.0.0.0/33", "is no ADDRESS"],
    ["( sport = :1", "a ) is missing"],
    ["sport = :1 )", "')' is not expected there"],
    ["foo", "'foo' is none of state, exclude,"],
  ];
  for (const [filter, message] of cases) {
    assertThrows(() => parseFilter(filter.split(" ")), RangeError, message);
  }
});
