import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, setTimerSlack } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import { TapDevice } from "../../ffi/tap_device.ts";
import type { Device } from "../device.ts";
import { ImpairedDevice, parseImpair } from "../impair.ts";
import { Server } from "../ipc/server.ts";
import { runLoop } from "../run.ts";
import { Stack } from "../stack/stack.ts";
import type { Notice } from "../stack/socket_types.ts";
import { CaptureDevice } from "../trace/capture_device.ts";
import { formatIp, formatMac } from "../wire/address.ts";
import { DescriptorSink } from "./capture_file.ts";
import { answerNetwork } from "./network.ts";
import type { StartMessage, WorkerMessage } from "./messages.ts";
import { NameFiles } from "./name_files.ts";
import { StatusReport } from "./status.ts";
import { LinuxUnixHost } from "./unix_host.ts";

/** Sleeps of the loop end at most so much later than asked, nanoseconds. */
const TIMER_SLACK_NS = 1000;

/** How long the last frames, the resets, may stay in a device that delays them. */
const LINGER_US = 500_000;

/** Runs the stack until it is woken up to end. Throws what ends it otherwise; all is closed in either case. */
export function runDaemon(start: StartMessage, say: (message: WorkerMessage) => void): void {
  setTimerSlack(TIMER_SLACK_NS);
  const { config, wakeUpFd } = start;
  const tap = TapDevice.fromFd(start.tapFd, { mtu: config.mtu });
  const impaired = config.impair === undefined ? null : new ImpairedDevice(tap, parseImpair(config.impair));
  const sink = start.captureFd < 0 ? null : new DescriptorSink(start.captureFd);
  const device = captured(impaired ?? tap, sink, start.version);
  try {
    const poller = new Epoll();
    const stack = makeStack(start, device);
    const warn = (message: string) => say({ kind: "log", level: "warn", message });
    const status = new StatusReport(start, stack, tap, impaired, monotonicUs());
    const server: Server = new Server({
      listeners: start.listenerFds,
      stack,
      host: new LinuxUnixHost(poller),
      configure: (request, mayChange, now) => answerNetwork(stack.network, request, mayChange, now),
      describe: (now) => status.describe(server, now),
      uid: Deno.uid() ?? 0,
      gid: config.gid,
      names: new NameFiles(config, warn),
      warn,
    });
    say({ kind: "ready", device: tap.name, mtu: device.mtu, mac: formatMac(config.mac) });
    runLoop({
      devices: [device],
      stack,
      server,
      poller,
      wakeUpFd,
      clock: monotonicUs,
      onNotice: (notice) => warn(describeNotice(notice)),
      onIdle: giveMemoryBack,
      lingerUs: impaired === null ? 0 : LINGER_US,
    });
    poller.close();
  } finally {
    device.close();
    sink?.close();
  }
}

/**
 * Memory that the C library keeps for reuse goes back to the system. Most of it is the optimizing compiler's, whose
 * threads are done by then: with 1,000 connections open 16 MB of 145, in 1 to 5 ms.
 */
function giveMemoryBack(): void {
  libc().malloc_trim?.(0n);
}

function captured(device: Device, sink: DescriptorSink | null, version: string): Device {
  if (sink === null) return device;
  return new CaptureDevice(device, sink.write, {
    epochOffsetUs: Date.now() * 1000 - monotonicUs(),
    application: `lvl-ip ${version}`,
  });
}

function makeStack({ config }: StartMessage, device: Device): Stack {
  const words = new Uint32Array(1024);
  let used = words.length;
  return new Stack({
    mac: config.mac,
    mtu: device.mtu,
    addresses: [{ address: config.address, prefixLength: config.prefixLength }],
    gateway: config.gateway,
    secret: crypto.getRandomValues(new Uint32Array(8)),
    // From the system's generator, many at once: a call for each takes a microsecond.
    random: () => {
      if (used === words.length) {
        crypto.getRandomValues(words);
        used = 0;
      }
      return words[used++];
    },
    features: device.features,
    tcp: config.tcp,
  });
}

function describeNotice(notice: Notice): string {
  return `address conflict: ${formatMac(notice.mac)} uses our address ${formatIp(notice.address)} too; ` +
    "give one of the two another address (--addr)";
}
