import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "../../mod.ts";
import { hasNamespaces, lvlIp } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld, STACK } from "../support/shim.ts";

/*
 * Programs that know names only: through getaddrinfo and its like, and with resolvers of their own (dig, node's c-ares)
 * that send datagrams. dnsmasq tells afterwards who asked.
 */
const ignore = !hasNamespaces() ||
  !hasPrograms("cc", "python3", "curl", "wget", "dnsmasq", "dig", "nc", "ping");

/** A world with a web server and a name server that knows it. */
async function startWorld() {
  const world = await ShimWorld.start("--dns", KERNEL, "--dns-search", "test");
  const { net, directory } = world;
  await net.sh(`cd ${directory}; mkdir www; echo hello > www/hello; chmod -R a+rX www
    printf 'nameserver ${KERNEL}\\nsearch test\\n' > conf; mount --bind conf /etc/resolv.conf`);
  const options =
    `--no-daemon --conf-file=/dev/null --log-queries --no-hosts --no-resolv --user=root --bind-interfaces
    --listen-address=${KERNEL} --local=/test/ --local-ttl=30 --address=/web.test/${KERNEL} --cname=www.test,web.test
    --ptr-record=5.0.0.10.in-addr.arpa,web.test --txt-record=long.test,${"x".repeat(200)}`;
  const names = await net.spawn(["dnsmasq", ...options.split(/\s+/)]);
  await names.waitFor(/started/);
  const server = await world.kernelServer(80, [
    "python3",
    "-um",
    "http.server",
    "--directory",
    `${directory}/www`,
    "80",
  ]);
  return { world, names, server };
}

Deno.test({
  name: "run: programs find hosts by name, and nobody but the stack asks",
  ignore,
  async fn() {
    const { world, names, server } = await startWorld();
    await using _world = world;
    const onStack = async (...command: string[]) => {
      const { stdout, stderr } = await world.net.run(world.onStack(command), { timeoutMs: 20_000 });
      return stdout + stderr;
    };
    assertEquals(await onStack("curl", "-sS", "http://web.test/hello"), "hello\n");
    assertEquals(await onStack("wget", "-qO-", "http://www/hello"), "hello\n");
    const python = "import socket,urllib.request as u; print(u.urlopen('http://web/hello').read(), " +
      `socket.gethostbyaddr('${KERNEL}'), socket.gethostbyname_ex('www.test'))`;
    const expected =
      `b'hello\\n' ('web.test', [], ['${KERNEL}']) ('web.test', ['www.test'], ['${KERNEL}'])\n`;
    assertEquals(await onStack("python3", "-c", python), expected);
    assertEquals(await onStack("getent", "hosts", "web"), `${KERNEL}        web.test\n`);
    assertStringIncludes(await onStack("nc", "-vz", "web.test", "80"), "succeeded");
    assertStringIncludes(await onStack("ping", "-c1", "web.test"), "from web.test (10.0.0.5)");
    const bash = "exec 3<>/dev/tcp/web.test/80; printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' >&3; tail -n1 <&3";
    assertEquals(await onStack("bash", "-c", bash), "hello\n");
    assertEquals(await onStack("dig", "+short", "web.test"), `${KERNEL}\n`);
    assertStringIncludes(await onStack("dig", "+tcp", "+short", "long.test", "TXT"), "xxx");
    assertStringIncludes(await onStack("curl", "-sS", "http://nobody.test/"), "Could not resolve host");
    if (hasPrograms("node")) {
      const script = "fetch('http://web.test/hello').then((r) => r.text()).then(console.log);" +
        "require('dns').resolve4('web.test', (_, found) => console.log(String(found)))";
      assertEquals((await onStack("node", "-e", script)).split("\n").sort(), ["", "", KERNEL, "hello"]);
    }
    if (hasPrograms("ssh")) {
      const said = await onStack("ssh", "-o", "BatchMode=yes", "-p", "81", "web.test", "true");
      assertStringIncludes(said, "connect to host web.test port 81: Connection refused");
    }
    const { socketPath } = world;
    using connection = await connect({ hostname: "www.test", port: 80, socketPath });
    assertEquals(connection.remoteAddr.hostname, KERNEL);
    const own = (...words: string[]) => world.net.exec([...lvlIp, ...words, "--socket", socketPath]);
    assertStringIncludes(await own("ping", "-c1", "web"), `PING web (${KERNEL})`);
    assertStringIncludes(
      await own("connect", "web:80", "--send", "GET /hello HTTP/1.0\\r\\n\\r\\n"),
      "hello\n",
    );
    assertEquals(await own("resolve", "www"), `${KERNEL}  web.test\n`);
    server.kill();
    await server.finished();
    names.kill();
    const { stdout, stderr } = await names.finished();
    // What runs `lvl-ip` may ask for names of its own.
    const queries = (stdout + stderr).matchAll(/query\[\w+\] (?:web|www|long|nobody|5\.0)\S* from (\S+)/g);
    assertEquals(new Set([...queries].map(([, source]) => source)), new Set([STACK]));
  },
});
