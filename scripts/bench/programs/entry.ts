/** A row of the table: a program as a client or as a server, and how fast it is. */
import { bySha, nginx, requests } from "./parts.ts";
import { BIG, type ProgramWorld } from "./world.ts";

/** One row: a program as a client or as a server. */
export interface Entry {
  program: string;
  /** What it does. */
  what: string;
  unit: "Gbit/s" | "/s";
  /** Programs that must be installed. */
  needs: string[];
  /** The rate; throws when the program fails or what came is not what was sent. */
  measure(world: ProgramWorld): Promise<number>;
}

/** The command line of a server, once what it needs is there. */
export type Command = (world: ProgramWorld) => readonly string[] | Promise<readonly string[]>;

/** A program that fetches a file which a web server of the kernel's side has. */
export function fetches(
  program: string,
  what: string,
  needs: string[],
  script: string,
  bytes: number,
): Entry {
  return {
    program,
    what,
    unit: "Gbit/s",
    needs: ["nginx", ...needs],
    measure: async (world) => {
      await using _server = await world.serveByKernel(80, await nginx(world, "theirs"));
      return bytes * 8e-9 / (await world.time(bySha(world, script, bytes))).seconds;
    },
  };
}

/** A server of which the kernel's side asks much of little. */
export function answers(
  program: string,
  what: string,
  needs: string[],
  command: Command,
  port = 8080,
): Entry {
  return {
    program,
    what,
    unit: "/s",
    needs: ["wrk", ...needs],
    measure: async (world) => {
      await using _server = await world.serve(port, await command(world));
      return await requests(world, port);
    },
  };
}

/** A server from which the kernel's side fetches a file. */
export function gives(
  program: string,
  needs: string[],
  port: number,
  command: Command,
  script: string,
  bytes: number,
): Entry {
  return {
    program,
    what: `${bytes === BIG ? "1 GB" : "100 MB"}, by SHA-256`,
    unit: "Gbit/s",
    needs,
    measure: async (world) => {
      await using _server = await world.serve(port, await command(world));
      return bytes * 8e-9 / (await world.timeByKernel(bySha(world, script, bytes))).seconds;
    },
  };
}
