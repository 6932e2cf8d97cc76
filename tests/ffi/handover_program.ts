// A daemon in small, run by handover_test.ts: opens what needs privilege, starts itself anew without any, and reports.
import { hasAnyCapability, hasCapability, readCapabilities } from "../../ffi/capabilities.ts";
import { monotonicUs } from "../../ffi/clock.ts";
import { Frame } from "../../lib/buffer/frame.ts";
import { dropCapabilitiesByExec, takeInherited } from "../../ffi/handover.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { openTap, TapDevice } from "../../ffi/tap.ts";
import { listenUnix, UnixListener } from "../../ffi/unix_listener.ts";
import { acceptUnix, closeDescriptor, connectUnix } from "../../ffi/unix_socket.ts";

const [path, argument] = Deno.args;

const inherited = takeInherited();
if (inherited === null) {
  const tap = openTap({ name: "tap0" });
  configureInterface("tap0", { address: { address: 0x0a090005, prefixLength: 24 }, up: true });
  const listener = listenUnix(path);
  const privileged = hasCapability("CAP_NET_ADMIN") && hasAnyCapability();
  dropCapabilitiesByExec({
    descriptors: { tap: tap.fd, socket: listener.fd },
    env: { BEFORE: JSON.stringify({ pid: Deno.pid, privileged, atUs: monotonicUs() }) },
  });
}

const started = monotonicUs();
// A Worker, as the daemon has one: its thread must have no more than the others.
const worker = new Worker(new URL("./clock_worker.ts", import.meta.url), { type: "module" });
await new Promise((resolve) => worker.onmessage = resolve);
const before = JSON.parse(Deno.env.get("BEFORE") ?? "{}");
const tap = TapDevice.fromFd(inherited.get("tap") ?? -1);
const listener = new UnixListener(inherited.get("socket") ?? -1, path);
const client = connectUnix(path);
const accepted = acceptUnix(listener.fd);
let refused = "";
try {
  configureInterface("tap0", { mtu: 1400 });
} catch (error) {
  refused = error instanceof Error ? error.name : String(error);
}
let threads = 0;
let held = 0n;
let bounding = 0n;
let noNewPrivileges = true;
for (const thread of readCapabilities()) {
  threads++;
  held |= thread.permitted | thread.effective | thread.inheritable | thread.ambient;
  bounding |= thread.bounding;
  noNewPrivileges &&= thread.noNewPrivileges;
}
console.log(JSON.stringify({
  samePid: before.pid === Deno.pid,
  wasPrivileged: before.privileged,
  execMs: Math.round((started - before.atUs) / 100) / 10,
  argument,
  tap: tap.name,
  frames: tap.receive(new Frame(), 0),
  mtu: readInterface("tap0")?.mtu,
  refused,
  accepted: accepted >= 0,
  manyThreads: threads > 1,
  held: held.toString(16),
  bounding: bounding.toString(16),
  noNewPrivileges,
  forgotten: Deno.env.get("LVLIP_INHERIT") === undefined && takeInherited() === null,
  name: readCapabilities().find((thread) => thread.thread === Deno.pid)?.name,
}));
worker.terminate();
closeDescriptor(client);
closeDescriptor(accepted);
tap.close();
listener.close();
