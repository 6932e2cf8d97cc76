import type { DaemonConfig, LogLevel } from "./config.ts";

/** What the Worker that runs the stack is given. */
export interface StartMessage {
  config: DaemonConfig;
  /** In the order of the configuration's interfaces. */
  tapFds: number[];
  listenerFds: number[];
  /** -1: no capture. */
  captureFd: number;
  wakeUpFd: number;
  socketPath: string;
  version: string;
}

/** What the Worker says. */
export type WorkerMessage =
  /** All modules are there: from now on the Worker reads no file. */
  | { kind: "loaded" }
  | { kind: "ready"; devices: { device: string; mtu: number }[] }
  | { kind: "log"; level: LogLevel; message: string }
  /** The loop is over; `error` says why if nobody asked for it. */
  | { kind: "ended"; error?: string };
