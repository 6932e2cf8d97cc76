/** Tests of real programs on the stack. */
import { assertEquals } from "@std/assert";
import { status } from "../../mod.ts";
import { hasNamespaces } from "./netns.ts";
import { hasPrograms, ShimWorld } from "./shim.ts";

/** What every such test needs is not there. */
export const noWorld = !hasNamespaces() || !hasPrograms("cc", "curl", "python3", "tcpdump");

export const HELLO = "hello from a file\n";
const BIG = 30_000_000;

/** A folder to serve: a small file and a large one. */
export async function makeSite(world: ShimWorld): Promise<string> {
  const folder = `${world.directory}/www`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/hello`, HELLO);
  await world.net.sh(`head -c ${BIG} /dev/urandom > ${folder}/big; chmod -R a+rX ${folder}`);
  return folder;
}

export function httpServer(folder: string, port: number): string[] {
  return ["python3", "-um", "http.server", "--directory", folder, `${port}`];
}

/**
 * A test in a world of its own, at the end of which no program has left anything behind in the daemon, and no packet has
 * gone through the kernel's stack. Skipped where a program is missing.
 */
export function programTest(
  name: string,
  programs: string[],
  fn: (world: ShimWorld) => Promise<void>,
  isPossible = true,
): void {
  Deno.test({
    name: `run: ${name}`,
    ignore: noWorld || !isPossible || !hasPrograms(...programs),
    async fn() {
      await using world = await ShimWorld.start();
      await fn(world);
      assertEquals(await clientsLeft(world), 1, "connections of programs that have ended");
      await world.checkNothingLeaked();
    },
  });
}

/** Programs that are about to end are given time to: how many connections to the daemon remain, this one's own included. */
async function clientsLeft(world: ShimWorld): Promise<number> {
  for (let tries = 0;; tries++) {
    const { clients } = await status({ socketPath: world.socketPath });
    if (clients === 1 || tries === 200) return clients;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
