/** The entry point of the `lvl-ip` command: everything is in lib/cli. */
import "./lib/daemon/second_start.ts";

if (import.meta.main) {
  // Loaded when the daemon's Worker, if this is to be one, is on its way.
  const { main } = await import("./lib/cli/main.ts");
  // An explicit exit: a read of stdin that is still under way would keep the process alive.
  Deno.exit(await main(Deno.args));
}
