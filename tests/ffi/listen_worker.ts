/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
// One of several daemons that start at once.
import { monotonicUs } from "../../ffi/clock.ts";
import { SysError } from "../../ffi/errno.ts";
import { listenUnix, type UnixListener } from "../../ffi/unix_listener.ts";

let listener: UnixListener | null = null;

/** Listens on `path` at the moment `atUs`, to the microsecond; without a path closes what it has. */
self.onmessage = (event: MessageEvent<{ path?: string; atUs: number }>) => {
  const { path, atUs } = event.data;
  if (path === undefined) {
    listener?.close();
    listener = null;
    return self.postMessage("closed");
  }
  while (monotonicUs() < atUs);
  try {
    listener = listenUnix(path);
    self.postMessage("listening");
  } catch (error) {
    self.postMessage(error instanceof SysError ? error.name : String(error));
  }
};
