/** `lvl-ip daemon`: runs the stack on a TAP, for every program that asks. */
import manifest from "../../deno.json" with { type: "json" };
import { type DaemonConfig, type DaemonOptions, readConfig } from "../daemon/config.ts";
import { Log } from "../daemon/log.ts";
import type { WorkerMessage } from "../daemon/messages.ts";
import { acquire, type Resources } from "../daemon/resources.ts";
import { earlyWorker } from "../daemon/second_start.ts";
import { StackWorker } from "../daemon/stack_worker.ts";
import { formatIp, formatMac } from "../wire/address.ts";
import { CommandError, EXIT } from "./errors.ts";

export type { DaemonOptions } from "../daemon/config.ts";

/** SIGHUP too: a terminal that is closed ends the daemon as Ctrl-C does. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs the daemon until SIGINT, SIGTERM or SIGHUP; the exit status. Throws `CommandError` when it cannot start, with
 * nothing left behind.
 *
 * On the way the process gives up its privileges, see `acquire`. This thread only keeps the signals and the log; the
 * stack has a Worker of its own, which blocks.
 */
export async function daemon(options: DaemonOptions): Promise<number> {
  const config = readConfig(options);
  let worker = earlyWorker;
  const resources = await acquire(config, () => (worker = new StackWorker()).loaded);
  worker ??= new StackWorker();
  try {
    const error = await serve(config, resources, worker);
    if (error !== undefined) throw new CommandError(`The daemon ended: ${error}`);
    return EXIT.success;
  } finally {
    worker.terminate();
    resources.socket.close();
  }
}

/** Runs the stack until it ends: why, if nobody asked for it. */
async function serve(
  config: DaemonConfig,
  resources: Resources,
  worker: StackWorker,
): Promise<string | undefined> {
  const { tapFds, captureFd, socket } = resources;
  const log = new Log(config);
  worker.onMessage = (message) => {
    if (message.kind === "log") log.write(message.level, message.message);
    else if (message.kind === "ready") announce(config, resources, message);
  };
  const stop = () => worker.stop();
  for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
  try {
    worker.start({
      config,
      tapFds,
      captureFd,
      listenerFds: socket.descriptors,
      socketPath: socket.path,
      version: manifest.version,
    });
    return await worker.ended;
  } finally {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
  }
}

/** The one line that says that programs may come. */
function announce(
  config: DaemonConfig,
  { socket: { path } }: Resources,
  { devices }: WorkerMessage & { kind: "ready" },
): void {
  const interfaces = config.interfaces.map(({ address, prefixLength, gateway, mac }, index) => ({
    address: formatIp(address),
    prefixLength,
    gateway: gateway === 0 ? null : formatIp(gateway),
    ...devices[index],
    mac: formatMac(mac),
  }));
  if (config.json) {
    const [first, ...more] = interfaces;
    const ready = { event: "ready", ...first, socket: path, pid: Deno.pid };
    console.log(JSON.stringify(more.length === 0 ? ready : { ...ready, interfaces }));
  } else {
    const places = interfaces.map(({ address, prefixLength, gateway, device }) =>
      `${address}/${prefixLength} on ${device}${gateway === null ? "" : ` (gateway ${gateway})`}`
    );
    console.log(`lvl-ip: ready at ${places.join(" and ")}, socket ${path}`);
  }
}
