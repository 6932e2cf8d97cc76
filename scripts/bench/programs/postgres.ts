/** PostgreSQL on the side that is measured. */
import { type ProgramWorld, STACK } from "./world.ts";

const ROOT = "/usr/lib/postgresql";

/** Transactions a second that only read. */
export async function postgres(world: ProgramWorld): Promise<number> {
  const versions = [...Deno.readDirSync(ROOT)].map(({ name }) => Number(name));
  const programs = `${ROOT}/${Math.max(...versions)}/bin`;
  const at = `${world.directory}/pg`;
  const asPostgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
  const client = `-h ${STACK} -U postgres`;
  await world.kernel.sh(`[ -e ${at} ] && exit 0; mkdir ${at}; chown postgres ${at}
    ${asPostgres.join(" ")} ${programs}/initdb -N -A trust -D ${at}/data > /dev/null
    echo 'host all all 0.0.0.0/0 trust' >> ${at}/data/pg_hba.conf`);
  const server = [...asPostgres, `${programs}/postgres`, "-D", `${at}/data`, "-F", "-h", "0.0.0.0", "-k", at];
  await using _server = await world.serve(5432, server);
  await world.timeByKernel(`pgbench ${client} -i -q postgres`);
  const { output } = await world.timeByKernel(`pgbench ${client} -n -S -c 8 -j 2 -T 1 postgres`);
  return Number(/^tps = ([\d.]+)/m.exec(output)![1]);
}
