/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
// Another thread of the process that signals a WakeUp of which it knows the number only.
import { WakeUp } from "../../ffi/eventfd.ts";

self.onmessage = (event: MessageEvent<{ fd: number; afterMs: number }>) => {
  setTimeout(() => new WakeUp(event.data.fd).signal(), event.data.afterMs);
};
self.postMessage("ready");
