/**
 * The stack embedded in one thread with its TAP and an application, no daemon and no Worker, for the benchmarks and for
 * profiles:
 *
 *   deno run -A [--cpu-prof-md] scripts/bench/in_process.ts --tap tap0 [--no-offload] [--impair SPEC]
 *
 * Prints "ready"; ends when stdin does. `connections HOST PORT PARALLEL WARM-UP SECONDS` on stdin makes it connect as
 * often as it can, and print what peer/connections.c prints; `heap` makes it print what was allocated so far, and for how
 * many frames.
 */
import { parseArgs } from "node:util";
import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, EPOLLIN, setTimerSlack } from "../../ffi/epoll.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { configureInterface } from "../../ffi/interface.ts";
import { openTap } from "../../ffi/tap.ts";
import type { Device } from "../../lib/device.ts";
import { ImpairedDevice, parseImpair } from "../../lib/impair.ts";
import { runLoop } from "../../lib/run.ts";
import { BUSY_POLL_US } from "../../lib/run/busy_poll.ts";
import { Stack } from "../../lib/stack/stack.ts";
import { parseIp, parseMac } from "../../lib/wire/address.ts";
import { allocatedBytes } from "../../tests/support/allocated.ts";
import { Application } from "./application.ts";
import { ConnectLoad } from "./connect_load.ts";
import { DatagramLoad } from "./datagram_load.ts";

const STDIN = 0;
const OURS = parseIp("10.0.0.4")!;
const KERNELS = parseIp("10.0.0.5")!;
const PREFIX_LENGTH = 24;
/** As the daemon sets it, nanoseconds. */
const TIMER_SLACK_NS = 1000;

const { values } = parseArgs({
  options: {
    tap: { type: "string", default: "tap0" },
    "no-offload": { type: "boolean", default: false },
    impair: { type: "string" },
  },
});

/** An impaired device loses single packets, so it must not be given merged ones. */
function openDevice(): Device {
  const vnetHeader = !values["no-offload"] && values.impair === undefined;
  const tap = openTap({ name: values.tap, vnetHeader });
  configureInterface(tap.name, { address: { address: KERNELS, prefixLength: PREFIX_LENGTH }, up: true });
  return values.impair === undefined ? tap : new ImpairedDevice(tap, parseImpair(values.impair));
}

function makeStack(device: Device): Stack {
  // Many at once: a call for each takes a microsecond.
  const random = new Uint32Array(1024);
  let used = random.length;
  return new Stack({
    mac: parseMac("02:00:00:00:00:04")!,
    mtu: device.mtu,
    addresses: [{ address: OURS, prefixLength: PREFIX_LENGTH }],
    secret: crypto.getRandomValues(new Uint32Array(8)),
    random: () => {
      if (used === random.length) {
        crypto.getRandomValues(random);
        used = 0;
      }
      return random[used++];
    },
    features: device.features,
    // As both kernels are told by tcp_max_tw_buckets.
    tcp: { maxTimeWaits: 16 },
  });
}

/** Does what a line of stdin says. */
function obey(command: string): void {
  if (command.startsWith("connections")) return connections.start(command, monotonicUs());
  if (command.trim() !== "heap") return datagrams.start(command, monotonicUs());
  const { framesIn, framesOut } = application.stack.counters;
  console.log(JSON.stringify({ allocated: allocatedBytes(), frames: framesIn + framesOut }));
}

setTimerSlack(TIMER_SLACK_NS);
const device = openDevice();
const application = new Application(makeStack(device), OURS);
const connections = new ConnectLoad(application);
const datagrams = new DatagramLoad(application);
const poller = new Epoll();
const wakeUp = new WakeUp();
const input = new Uint8Array(4096);
poller.add(STDIN, EPOLLIN);
application.onEvent = (fd) => {
  if (fd !== STDIN) return;
  const count = Deno.stdin.readSync(input);
  if (count === null) wakeUp.signal();
  else obey(new TextDecoder().decode(input.subarray(0, count)));
};
console.log("ready");
runLoop({
  devices: [device],
  stack: application.stack,
  server: application,
  poller,
  wakeUpFd: wakeUp.fd,
  clock: monotonicUs,
  busyPollUs: BUSY_POLL_US,
});
device.close();
