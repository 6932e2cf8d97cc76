/** What several rows need: servers, loads, and how to check what came. */
import { BIG, type ProgramWorld, STACK } from "./world.ts";

/** The command line of a server with two workers, whose own files lie in a folder `name`. */
export async function nginx({ directory, site }: ProgramWorld, name: string): Promise<string[]> {
  const folder = `${directory}/nginx-${name}`;
  await Deno.mkdir(folder, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  await Deno.writeTextFile(
    `${folder}/conf`,
    `worker_processes 2; daemon off; user root; pid ${folder}/pid; error_log ${folder}/error.log crit;
     events { worker_connections 4096; }
     http { access_log off; sendfile on; keepalive_requests 1000000000;
       ${temporary.map((each) => `${each}_temp_path ${folder}/${each};`).join(" ")}
       server { listen 80 backlog=4096; root ${site}; } }`,
  );
  return ["nginx", "-c", `${folder}/conf`];
}

/** A script whose output is to be the large or the middle file. */
export function bySha({ site }: ProgramWorld, script: string, bytes: number): string {
  const file = bytes === BIG ? "big" : "middle";
  return `{ ${script}\n} | sha256sum | cut -c 1-64 | cmp - ${site}/${file}.sha`;
}

/** Requests a second over 200 connections that stay where the server lets them. */
export async function requests(world: ProgramWorld, port: number): Promise<number> {
  const { output } = await world.timeByKernel(`wrk -t 1 -c 200 -d 1 http://${STACK}:${port}/small`);
  if (/Non-2xx/.test(output)) throw new Error(output);
  const rate = Number(/^Requests\/sec: +([\d.]+)$/m.exec(output)![1]);
  if (rate === 0) throw new Error(`no request was answered: ${output}`);
  return rate;
}

export const IPERF_SERVER = ["iperf3", "-s", "--forceflush"];
export const IPERF_READY = "Server listening";

export const redis = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"];
export const REDIS_LOAD = "-t get -n 50000 -c 50 --csv";

export function redisRate(output: string): number {
  return Number(output.trim().split("\n").at(-1)!.split(",")[1].replaceAll('"', ""));
}

export const dnsmasq = [
  ...["dnsmasq", "-d", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root"],
  ...["--address=/a.test/10.1.2.3"],
];

export async function makeRepository({ kernel, directory, site }: ProgramWorld): Promise<void> {
  await kernel.sh(
    `[ -e ${directory}/repo ] && exit 0; mkdir ${directory}/repo; cd ${directory}/repo; git init -q
    cp ${site}/middle file; git -c core.compression=0 add file; git -c user.name=n -c user.email=e commit -qm file`,
  );
}

export function gitDaemon({ directory }: ProgramWorld): string[] {
  return ["git", "daemon", `--base-path=${directory}`, "--export-all", "--reuseaddr", "--listen=0.0.0.0"];
}
