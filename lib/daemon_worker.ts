/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

/**
 * The Worker that the stack runs in: it blocks in epoll for as long as the daemon lives, so nothing else happens in it.
 * The main thread wakes it up to end it.
 */
import { SysError } from "../ffi/errno.ts";
import { runDaemon } from "./daemon/run_daemon.ts";
import type { StartMessage, WorkerMessage } from "./daemon/messages.ts";

declare const self: DedicatedWorkerGlobalScope;

function say(message: WorkerMessage): void {
  self.postMessage(message);
}

self.onmessage = ({ data }: MessageEvent<StartMessage>) => {
  try {
    runDaemon(data, say);
    say({ kind: "ended" });
  } catch (error) {
    // A system call that failed is told in one sentence; anything else is a bug, and where it is helps to mend it.
    const level = error instanceof SysError ? "debug" : "error";
    if (error instanceof Error) say({ kind: "log", level, message: error.stack ?? error.message });
    say({ kind: "ended", error: error instanceof Error ? error.message : String(error) });
  }
  self.close();
};

say({ kind: "loaded" });
