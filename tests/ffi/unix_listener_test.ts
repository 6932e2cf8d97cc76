import { assert, assertEquals, assertThrows } from "@std/assert";
import { EADDRINUSE } from "../../lib/errno.ts";
import { SysError } from "../../ffi/errno.ts";
import { listenUnix, UnixListener } from "../../ffi/unix_listener.ts";
import { closeDescriptor, connectUnix, SOCK_SEQPACKET } from "../../ffi/unix_socket.ts";
import { monotonicUs } from "../../ffi/clock.ts";
import { libc, O_RDONLY } from "../../ffi/libc.ts";
import { cString } from "../../ffi/memory.ts";
import "./open_libc.ts";

const LOCK_EX = 2;

function inFolder(name: string, fn: (path: string, folder: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await fn(`${folder}/socket`, folder);
      assertEquals([...Deno.readDirSync(folder)].map((entry) => entry.name), [], "left behind");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

inFolder("the file has the mode asked for, whatever the umask, and goes with the listener", (path) => {
  for (const mode of [0o666, 0o600, 0o660]) {
    const listener = listenUnix(path, { mode });
    assertEquals((Deno.lstatSync(path).mode ?? 0) & 0o777, mode);
    assertEquals(listener.close(), true);
  }
});

inFolder("a second daemon is told that the first one lives, and does it no harm", (path) => {
  const first = listenUnix(path, { backlog: 0 });
  const probes: number[] = [];
  const error = assertThrows(
    () => listenUnix(path),
    SysError,
    `Cannot listen on ${path}: another process listens there`,
  );
  assertEquals(error.errno, EADDRINUSE);
  // with another type of socket, and with a full queue
  assertThrows(() => listenUnix(path, { type: SOCK_SEQPACKET }), SysError, "another process listens there");
  for (let i = 0; i < 3; i++) {
    try {
      probes.push(connectUnix(path));
    } catch { /* the queue is full, as it should be */ }
  }
  assertThrows(() => listenUnix(path), SysError, "another process listens there");
  probes.forEach(closeDescriptor);
  assert(Deno.lstatSync(path).isSocket);
  first.close();
});

inFolder("what a killed process left behind is replaced", (path) => {
  const killed = listenUnix(path);
  closeDescriptor(killed.fd); // the file stays, as after kill -9
  const next = listenUnix(path);
  closeDescriptor(connectUnix(path));
  next.close();
});

inFolder("a file that is no socket, and a link, stay where they are", (path, folder) => {
  Deno.writeTextFileSync(path, "precious");
  const error = assertThrows(() => listenUnix(path), SysError, "a file that is no socket is in the way");
  assertEquals(error.name, "ENOTSOCK");
  assertEquals(Deno.readTextFileSync(path), "precious");
  Deno.symlinkSync(path, `${folder}/link`);
  assertThrows(() => listenUnix(`${folder}/link`), SysError, "no socket is in the way");
  Deno.removeSync(`${folder}/link`);
  Deno.removeSync(path);
});

inFolder("no folder, a name too long, a name in use", (path, folder) => {
  assertEquals(assertThrows(() => listenUnix(`${folder}/none/socket`), SysError).name, "ENOENT");
  assertEquals(assertThrows(() => listenUnix(path + "x".repeat(108)), SysError).name, "ENAMETOOLONG");
  const name = `@lvl-ip-test-${crypto.randomUUID()}`;
  const listener = listenUnix(name);
  assertThrows(() => listenUnix(name), SysError, "another process listens there");
  listener.close();
  listenUnix(name).close();
});

inFolder("a listener removes only its own file", (path) => {
  const first = listenUnix(path);
  Deno.removeSync(path);
  const second = listenUnix(path);
  assertEquals(first.close(), true);
  closeDescriptor(connectUnix(path));
  second.close();
});

inFolder("an inherited listener is known by its file", (path) => {
  const before = listenUnix(path);
  const after = new UnixListener(before.fd, path);
  closeDescriptor(connectUnix(path));
  assertEquals(after.close(), true);
});

inFolder("of several daemons that start at once over a stale socket exactly one wins", async (path) => {
  const daemons = new Daemons(3);
  for (let round = 0; round < 60; round++) {
    closeDescriptor(listenUnix(path).fd);
    const answers = await daemons.ask({ path, atUs: monotonicUs() + 1500 });
    assertEquals(answers.sort(), ["EADDRINUSE", "EADDRINUSE", "listening"], `round ${round}`);
    closeDescriptor(connectUnix(path)); // whoever won is the one that is reached
    await daemons.ask({ atUs: 0 });
  }
  daemons.end();
});

inFolder(
  "while another daemon is binding in the folder, one waits for it, but not for ever",
  async (path, folder) => {
    const lock = libc().open(cString(folder).bytes, O_RDONLY, 0);
    libc().flock(lock, LOCK_EX);
    const daemon = new Daemons(1);
    const answer = daemon.ask({ path, atUs: 0 });
    const error = assertThrows(() => listenUnix(path), SysError, `another process holds a lock on ${folder}`);
    assertEquals(error.name, "EAGAIN");
    assertEquals(await answer, ["EAGAIN"]);
    const second = daemon.ask({ path, atUs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertThrows(() => Deno.lstatSync(path), Deno.errors.NotFound);
    closeDescriptor(lock);
    assertEquals(await second, ["listening"]);
    await daemon.ask({ atUs: 0 });
    daemon.end();
  },
);

/** Threads that each start as a daemon when told to. */
class Daemons {
  readonly #workers: Worker[];

  constructor(count: number) {
    const url = new URL("./listen_worker.ts", import.meta.url);
    this.#workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
  }

  ask(message: { path?: string; atUs: number }): Promise<string[]> {
    return Promise.all(this.#workers.map((worker) =>
      new Promise<string>((resolve) => {
        worker.onmessage = (event) => resolve(event.data);
        worker.postMessage(message);
      })
    ));
  }

  end(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
