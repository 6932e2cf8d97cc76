/** `lvl-ip daemon`: runs the stack on a TAP, for every program that asks. */
import { WakeUp } from "../../ffi/eventfd.ts";
import manifest from "../../deno.json" with { type: "json" };
import { type DaemonConfig, type DaemonOptions, readConfig } from "../daemon/config.ts";
import { Log } from "../daemon/log.ts";
import type { StartMessage, WorkerMessage } from "../daemon/messages.ts";
import { acquire, type Resources } from "../daemon/resources.ts";
import { formatIp } from "../wire/address.ts";
import { CommandError, EXIT } from "./errors.ts";

export type { DaemonOptions } from "../daemon/config.ts";

/** How long the stack is given to reset its connections when it is asked to end, milliseconds. */
const PATIENCE_MS = 3000;

/**
 * Runs the daemon until SIGINT, SIGTERM or SIGHUP; the exit status. Throws `CommandError` when it cannot start, with nothing
 * left behind.
 *
 * The process starts itself anew on the way, without privileges: see `acquire`. This thread only keeps the signals and
 * the log; the stack has a Worker of its own, which blocks.
 */
export async function daemon(options: DaemonOptions): Promise<number> {
  const config = readConfig(options);
  const resources = acquire(config);
  const log = new Log(config);
  const wakeUp = new WakeUp();
  const ended = Promise.withResolvers<string | undefined>();
  let patience: number | undefined;
  const stop = () => {
    wakeUp.signal();
    // A stack that does not answer must not keep the process.
    patience ??= setTimeout(() => ended.resolve("the stack did not end in time"), PATIENCE_MS);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    const worker = startWorker(config, resources, wakeUp, log, ended);
    const error = await ended.promise;
    worker.terminate();
    if (error !== undefined) throw new CommandError(`The daemon ended: ${error}`);
    return EXIT.success;
  } finally {
    clearTimeout(patience);
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
    resources.socket.close();
  }
}

function startWorker(
  config: DaemonConfig,
  resources: Resources,
  wakeUp: WakeUp,
  log: Log,
  ended: PromiseWithResolvers<string | undefined>,
): Worker {
  const { tapFd, captureFd, socket } = resources;
  const worker = new Worker(new URL("../daemon_worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
    if (data.kind === "log") log.write(data.level, data.message);
    else if (data.kind === "ready") announce(config, resources, data);
    else ended.resolve(data.error);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    ended.resolve(event.message);
  };
  const start: StartMessage = {
    config,
    tapFd,
    captureFd,
    listenerFds: socket.descriptors,
    wakeUpFd: wakeUp.fd,
    socketPath: socket.path,
    version: manifest.version,
  };
  worker.postMessage(start);
  return worker;
}

/** The one line that says that programs may come. */
function announce(
  config: DaemonConfig,
  { socket }: Resources,
  { device, mtu, mac }: WorkerMessage & { kind: "ready" },
): void {
  const address = formatIp(config.address);
  const gateway = formatIp(config.gateway);
  const { path } = socket;
  if (config.json) {
    const { prefixLength } = config;
    const ready = {
      event: "ready",
      address,
      prefixLength,
      gateway,
      device,
      mtu,
      mac,
      socket: path,
      pid: Deno.pid,
    };
    console.log(JSON.stringify(ready));
    return;
  }
  console.log(
    `lvl-ip: ready at ${address}/${config.prefixLength} on ${device} (gateway ${gateway}), socket ${path}`,
  );
}
