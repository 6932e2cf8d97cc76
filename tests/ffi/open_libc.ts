// The C library stays open for the life of a thread. Deno's leak check would lay that to the test that first calls it,
// so it is opened before the first test runs: import this in every test of ffi/.
import { libc } from "../../ffi/libc.ts";

libc();
