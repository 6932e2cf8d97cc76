import { assert, assertEquals, assertMatch } from "@std/assert";
import { HELLO, httpServer, makeSite, programTest } from "../support/programs.ts";
import { KERNEL, ShimWorld, STACK } from "../support/shim.ts";

const asRoot = Deno.uid() === 0;
const JAVA = decodeURIComponent(new URL("programs/Http.java", import.meta.url).pathname);

programTest("java: HttpClient, Socket, HttpServer and channels", ["java", "javac", "nc"], async (world) => {
  const folder = await makeSite(world);
  await using _server = await world.kernelServer(80, httpServer(folder, 80));
  assertEquals(await world.exec(["java", JAVA, "client", `http://${KERNEL}:80/hello`]), HELLO + HELLO);
  await using server = await world.stackServer(9001, ["java", JAVA, "server", "9000"]);
  assertEquals(await world.net.exec(["curl", "-sS", `http://${STACK}:9000/`]), "from java\n");
  assertEquals(await world.net.exec(["nc", "-N", STACK, "9001"], { stdin: "echo\n" }), "echo\n");
  server.kill();
  await server.finished();
});

const CLUSTER = `
const cluster = require("cluster"), http = require("http");
if (cluster.isPrimary) for (let i = 0; i < 3; i++) cluster.fork();
else http.createServer((_, response) => response.end("from a worker\\n")).listen(9100, "0.0.0.0");`;

programTest("node: http, fetch, and a cluster", ["node"], async (world) => {
  const folder = await makeSite(world);
  await using _server = await world.kernelServer(80, httpServer(folder, 80));
  const url = `http://${KERNEL}/hello`;
  const get = `require("http").get("${url}", (response) => response.pipe(process.stdout))`;
  assertEquals(await world.exec(["node", "-e", get]), HELLO);
  const fetch = `fetch("${url}").then((it) => it.text()).then((text) => process.stdout.write(text))`;
  assertEquals(await world.exec(["node", "-e", fetch]), HELLO);
  await Deno.writeTextFile(`${world.directory}/cluster.js`, CLUSTER);
  await using cluster = await world.stackServer(9100, ["node", `${world.directory}/cluster.js`]);
  for (let i = 0; i < 5; i++) {
    assertEquals(await world.net.exec(["curl", "-sS", `http://${STACK}:9100/`]), "from a worker\n");
  }
  cluster.kill();
  await cluster.finished();
});

const CGI = `
import http.server, os, sys
class Handler(http.server.CGIHTTPRequestHandler):
  cgi_directories = ["/cgi"]
os.chdir(sys.argv[2])
http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()`;

/** A repository, and a folder with git's HTTP backend as a CGI program that serves it. */
async function makeRepository(world: ShimWorld): Promise<string> {
  const at = world.directory;
  const backend = `#!/bin/sh
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=\\*
export GIT_PROJECT_ROOT=${at} GIT_HTTP_EXPORT_ALL=1
exec git http-backend
`;
  await world.net.sh(`cd ${at} && git init -q --bare repo.git && git init -q work && cd work
    head -c 3000000 /dev/urandom > file && git add file && git -c user.email=a@b -c user.name=n commit -qm one
    git push -q ../repo.git HEAD:refs/heads/main && git -C ../repo.git symbolic-ref HEAD refs/heads/main
    mkdir -p ${at}/site/cgi`);
  await Deno.writeTextFile(`${at}/site/cgi/git`, backend);
  await world.net.sh(`chmod a+x ${at}/site/cgi/git && chmod -R a+rwX ${at}`);
  return `${at}/site`;
}

programTest("git clone over http and git://, as client and as server", ["git"], async (world) => {
  const site = await makeRepository(world);
  const at = world.directory;
  const same = (copy: string) => world.net.exec(["cmp", `${at}/${copy}/file`, `${at}/work/file`]);
  const server = (port: number) => ["python3", "-c", CGI, `${port}`, site];
  await using theirs = await world.kernelServer(9200, server(9200));
  await world.exec(["git", "clone", "-q", `http://${KERNEL}:9200/cgi/git/repo.git`, `${at}/fetched`]);
  await same("fetched");
  theirs.kill();
  await using ours = await world.stackServer(9201, server(9201));
  await world.net.exec(["git", "clone", "-q", `http://${STACK}:9201/cgi/git/repo.git`, `${at}/served`]);
  await same("served");
  const daemon = ["git", "daemon", `--base-path=${at}`, "--export-all", "--listen=0.0.0.0", "--reuseaddr"];
  await using gitDaemon = await world.stackServer(9418, daemon);
  await world.net.exec(["git", "clone", "-q", `git://${STACK}/repo.git`, `${at}/daemon`]);
  await same("daemon");
  for (const each of [ours, gitDaemon]) each.kill();
  await Promise.all([ours.finished(), gitDaemon.finished()]);
});

/** The newest PostgreSQL's folder of programs; "" if there is none. */
function postgresPrograms(): string {
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map(({ name }) => Number(name));
    return `/usr/lib/postgresql/${Math.max(...versions)}/bin`;
  } catch {
    return "";
  }
}

programTest(
  "PostgreSQL both ways",
  ["psql", "pgbench", "setpriv"],
  async (world) => {
    const at = `${world.directory}/pg`;
    const asPostgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
    const programs = postgresPrograms();
    await world.net.sh(`mkdir ${at} && chown postgres ${at}
      ${asPostgres.join(" ")} ${programs}/initdb -N -A trust -D ${at}/data > /dev/null
      echo 'host all all 0.0.0.0/0 trust' >> ${at}/data/pg_hba.conf`);
    const server = (port: number) => [
      ...[...asPostgres, `${programs}/postgres`, "-D", `${at}/data`, "-F", "-p", `${port}`],
      ...["-h", "0.0.0.0", "-k", at],
    ];
    const client = (address: string, port: number) => ["-h", address, "-p", `${port}`, "-U", "postgres"];
    await using theirs = await world.kernelServer(5432, server(5432));
    const select = ["-Atc", "select sum(g) from generate_series(1, 100000) g"];
    assertEquals(await world.exec(["psql", ...client(KERNEL, 5432), ...select]), "5000050000\n");
    await world.exec(["pgbench", ...client(KERNEL, 5432), "-i", "-q", "postgres"]);
    theirs.kill("SIGINT");
    await theirs.finished();
    await using ours = await world.stackServer(5433, server(5433));
    assertEquals(await world.net.exec(["psql", ...client(STACK, 5433), ...select]), "5000050000\n");
    const load = ["-c", "8", "-j", "2", "-t", "50", "postgres"];
    const report = await world.net.exec(["pgbench", ...client(STACK, 5433), ...load]);
    assertMatch(report, /number of transactions actually processed: 400\/400/);
    ours.kill("SIGINT");
    await ours.finished();
  },
  asRoot && postgresPrograms() !== "",
);

programTest("dig, and dnsmasq with its clients", ["dig", "dnsmasq"], async (world) => {
  const server = (address: string) => [
    ...["dnsmasq", "-d", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"],
    ...["--address=/a.test/10.1.2.3", `--listen-address=${address}`, "--user=root"],
  ];
  const questions = (address: string) =>
    [[], ["+tcp"]].map((more) => ["dig", "+short", ...more, `@${address}`, "a.test"]);
  await using theirs = await world.net.spawn(server(KERNEL));
  await theirs.waitFor(/started/);
  for (const question of questions(KERNEL)) assertEquals(await world.exec(question), "10.1.2.3\n");
  await using ours = await world.spawn(server(STACK));
  await ours.waitFor(/started/);
  for (const question of questions(STACK)) assertEquals(await world.net.exec(question), "10.1.2.3\n");
  ours.kill();
  await ours.finished();
});

/** Takes uploads, and answers with their SHA-256. */
const UPLOADS = `
import hashlib, http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
  def do_PUT(self):
    digest = hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest()
    self.send_response(200); self.end_headers(); self.wfile.write(digest.encode())
http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()`;

programTest(
  "curl: uploads and a limited rate; scp both ways round",
  ["ssh", "scp", "sshd"],
  async (world) => {
    const folder = await makeSite(world);
    const digest = (await world.net.sh(`sha256sum < ${folder}/big`)).split(" ")[0];
    await using _web = await world.kernelServer(80, httpServer(folder, 80));
    const limited = ["curl", "-sS", "--limit-rate", "40M", `http://${KERNEL}/big`];
    assertMatch(await world.exec(["sh", "-c", `${limited.join(" ")} | sha256sum`]), new RegExp(digest));
    await using _uploads = await world.kernelServer(81, ["python3", "-c", UPLOADS, "81"]);
    assertEquals(await world.exec(["curl", "-sS", "-T", `${folder}/big`, `http://${KERNEL}:81/`]), digest);
    await using ours = await world.stackServer(82, ["python3", "-c", UPLOADS, "82"]);
    assertEquals(await world.net.exec(["curl", "-sS", "-T", `${folder}/big`, `http://${STACK}:82/`]), digest);
    ours.kill();
    await ours.finished();
    if (!asRoot) return;
    const at = world.directory;
    await world.net.sh(`mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f ${at}/host &&
    ssh-keygen -q -t ed25519 -N '' -f ${at}/user && cp ${at}/user.pub ${at}/keys`);
    const sshd = (port: number) => [
      ...["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", `${port}`, "-h", `${at}/host`],
      ...["-o", `AuthorizedKeysFile=${at}/keys`, "-o", "StrictModes=no", "-o", "PidFile=none"],
      ...["-o", "Subsystem=sftp internal-sftp"],
    ];
    const scp = (from: string, to: string, port: number) => [
      ...["scp", "-q", "-F", "none", "-i", `${at}/user`, "-P", `${port}`, "-o", "StrictHostKeyChecking=no"],
      ...["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", from, to],
    ];
    const same = (copy: string) => world.net.exec(["cmp", `${at}/${copy}`, `${folder}/big`]);
    await using kernel = await world.kernelServer(2222, sshd(2222));
    await world.exec(scp(`${folder}/big`, `root@${KERNEL}:${at}/put`, 2222));
    await same("put");
    kernel.kill();
    await using stack = await world.stackServer(2223, sshd(2223));
    await world.net.exec(scp(`root@${STACK}:${folder}/big`, `${at}/got`, 2223));
    await same("got");
    stack.kill();
    await stack.finished();
  },
);

programTest(
  "nginx: a new binary and new settings under load, without a failed request",
  ["nginx", "ab", "wrk"],
  async (world) => {
    const at = world.directory;
    const folder = await makeSite(world);
    await Deno.writeTextFile(
      `${at}/nginx.conf`,
      `worker_processes 4; pid ${at}/nginx.pid; error_log ${at}/error.log info; events { worker_connections 1024; }
     http { access_log off; client_body_temp_path ${at}/b; proxy_temp_path ${at}/p; fastcgi_temp_path ${at}/f;
       uwsgi_temp_path ${at}/u; scgi_temp_path ${at}/s; server { listen 8080; root ${folder}; } }`,
    );
    const pid = (name: string) => world.net.sh(`cat ${at}/${name}`);
    // In the background, as services run it: the new binary is a child of the old one.
    // By its path: nginx executes itself anew as it was called.
    const binary = (await world.net.sh("command -v nginx")).trim();
    await world.exec([binary, "-c", `${at}/nginx.conf`]);
    await world.untilListening(8080);
    const load = world.net.exec([
      ...["ab", "-q", "-n", "20000", "-c", "200", `http://${STACK}:8080/hello`],
    ]);
    const old = (await pid("nginx.pid")).trim();
    await world.net.sh(
      `kill -USR2 ${old}; i=0; while [ ! -s ${at}/nginx.pid.oldbin ] || [ ! -s ${at}/nginx.pid ]
      do i=$((i + 1)); [ $i -lt 200 ]; sleep 0.05; done; kill -WINCH ${old}; sleep 0.3; kill -QUIT ${old}`,
    );
    const fresh = (await pid("nginx.pid")).trim();
    assert(fresh !== old);
    await world.net.sh(`kill -HUP ${fresh}`);
    assertMatch(await load, /Failed requests: +0\n/);
    const wrk = await world.net.exec([
      "wrk",
      "-t",
      "2",
      "-c",
      "200",
      "-d",
      "1s",
      `http://${STACK}:8080/hello`,
    ]);
    assertEquals(wrk.match(/Socket errors.*/)?.[0], undefined);
    await world.net.sh(
      `kill -QUIT ${fresh}; while kill -0 ${fresh} ${old} 2> /dev/null; do sleep 0.05; done`,
    );
    const log = await Deno.readTextFile(`${at}/error.log`);
    assertEquals(log.match(/\[(alert|crit|error|emerg)\].*/g), null);
  },
  asRoot,
);
