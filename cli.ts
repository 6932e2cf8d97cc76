/** The entry point of the `lvl-ip` command: everything is in lib/cli. */
import "./lib/daemon/second_start.ts";
import { main } from "./lib/cli/main.ts";

// An explicit exit: a read of stdin that is still under way would keep the process alive.
if (import.meta.main) Deno.exit(await main(Deno.args));
