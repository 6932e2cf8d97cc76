/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
// One of several daemons that start at once.
import { SysError } from "../../ffi/errno.ts";
import { listenUnix, type UnixListener } from "../../ffi/unix_listener.ts";

let listener: UnixListener | null = null;

self.onmessage = (event: MessageEvent<string>) => {
  if (event.data === "ready?") return self.postMessage("yes");
  if (event.data === "close") {
    listener?.close();
    listener = null;
    return self.postMessage("closed");
  }
  try {
    listener = listenUnix(event.data);
    self.postMessage("listening");
  } catch (error) {
    self.postMessage(error instanceof SysError ? error.name : String(error));
  }
};
