/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { monotonicUs } from "../../ffi/clock.ts";

self.postMessage(monotonicUs());
