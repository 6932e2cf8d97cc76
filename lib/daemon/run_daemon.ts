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
import { PcapngWriter } from "../trace/pcapng.ts";
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
  const taps = start.tapFds.map((fd, index) => TapDevice.fromFd(fd, { mtu: config.interfaces[index].mtu }));
  const impaired = taps.flatMap((tap) =>
    config.impair === undefined ? [] : new ImpairedDevice(tap, parseImpair(config.impair))
  );
  const sink = start.captureFd < 0 ? null : new DescriptorSink(start.captureFd);
  const devices = captured(impaired.length > 0 ? impaired : taps, sink, start.version);
  try {
    const poller = new Epoll();
    const stack = makeStack(start, devices);
    const warn = (message: string) => say({ kind: "log", level: "warn", message });
    const status = new StatusReport(start, stack, taps, impaired, monotonicUs());
    const server: Server = new Server({
      listeners: start.listenerFds,
      stack,
      host: new LinuxUnixHost(poller),
      configure: (request, mayChange, now) => answerNetwork(stack.network, request, mayChange, now),
      describe: (now, withInfo) => status.describe(server, now, withInfo),
      uid: Deno.uid() ?? 0,
      gid: config.gid,
      names: new NameFiles(config, warn),
      warn,
    });
    say({ kind: "ready", devices: devices.map(({ name, mtu }) => ({ device: name, mtu })) });
    runLoop({
      devices,
      stack,
      server,
      poller,
      wakeUpFd,
      clock: monotonicUs,
      busyPollUs: config.busyPollUs,
      onNotice: (notice) => warn(describeNotice(notice)),
      onIdle: giveMemoryBack,
      lingerUs: impaired.length === 0 ? 0 : LINGER_US,
    });
    poller.close();
  } finally {
    for (const device of devices) device.close();
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

/** All devices in one file, if there is one. */
function captured(
  devices: readonly Device[],
  sink: DescriptorSink | null,
  version: string,
): readonly Device[] {
  if (sink === null) return devices;
  const writer = new PcapngWriter(sink.write, { application: `lvl-ip ${version}` });
  const epochOffsetUs = Date.now() * 1000 - monotonicUs();
  return devices.map((device) => new CaptureDevice(device, writer, { epochOffsetUs }));
}

function makeStack({ config }: StartMessage, devices: readonly Device[]): Stack {
  const words = new Uint32Array(1024);
  let used = words.length;
  return new Stack({
    interfaces: config.interfaces.map(({ mac, address, prefixLength, gateway }, index) => ({
      name: devices[index].name,
      mac,
      mtu: devices[index].mtu,
      addresses: [{ address, prefixLength }],
      gateway: gateway === 0 ? undefined : gateway,
      features: devices[index].features,
    })),
    forwarding: config.forwarding,
    acceptRedirects: config.acceptRedirects,
    reassemblyTimeoutUs: config.reassemblyTimeoutUs,
    secret: crypto.getRandomValues(new Uint32Array(8)),
    // From the system's generator, many at once: a call for each takes a microsecond.
    random: () => {
      if (used === words.length) {
        crypto.getRandomValues(words);
        used = 0;
      }
      return words[used++];
    },
    tcp: config.tcp,
  });
}

function describeNotice(notice: Notice): string {
  return `address conflict: ${formatMac(notice.mac)} uses our address ${formatIp(notice.address)} too; ` +
    "give one of the two another address (--addr)";
}
