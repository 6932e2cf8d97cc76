/** `lvl-ip shim --path`: where the library is that puts programs on the stack. */
import { preloadPath } from "../host/preload.ts";
import { EXIT } from "./errors.ts";
import type { Io } from "./output.ts";

export function shim(io: Io): number {
  io.print(`${preloadPath()}\n`);
  return EXIT.success;
}
