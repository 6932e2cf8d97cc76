import { assertEquals, assertRejects } from "@std/assert";
import { resolve } from "../../lib/cli/resolve.ts";
import { type LookUp, type LookUpOptions, NameError } from "../../lib/ipc/client.ts";
import { FakeIo } from "./fake_io.ts";

const KNOWN: Record<string, LookUp> = {
  "www.example": {
    addresses: ["192.0.2.1", "192.0.2.22"],
    names: ["www.example", "web.example"],
    ttl: 60,
    server: "10.0.0.1",
    cached: true,
  },
  db: { addresses: ["10.0.0.7"], names: ["db", "db.lan"], ttl: 0, server: "host", cached: false },
  "192.0.2.1": { addresses: [], names: ["web.example"], ttl: 5, server: "10.0.0.1", cached: false },
};

function ask(name: string, _options: LookUpOptions): Promise<LookUp> {
  const found = KNOWN[name];
  if (found !== undefined) return Promise.resolve(found);
  return Promise.reject(new NameError(`Cannot resolve ${name}: no such name`, "EAI_NONAME"));
}

Deno.test("resolve prints a line an address, and a sentence for what is not found", async () => {
  const io = new FakeIo();
  assertEquals(await resolve(["www.example", "nobody", "db"], {}, io, ask), 1);
  assertEquals(io.out, "192.0.2.1   web.example\n192.0.2.22  web.example\n10.0.0.7  db.lan\n");
  assertEquals(io.err, "lvl-ip: Cannot resolve nobody: no such name\n");
});

Deno.test("resolve -v shows the aliases, how long it is true, and who said so", async () => {
  const io = new FakeIo();
  assertEquals(await resolve(["www.example", "db"], { verbose: true }, io, ask), 0);
  assertEquals(
    io.out,
    `Name         TTL s  Type   Value        From
www.example     60  CNAME  web.example  10.0.0.1 (kept)
web.example     60  A      192.0.2.1    10.0.0.1 (kept)
web.example     60  A      192.0.2.22   10.0.0.1 (kept)
db               -  CNAME  db.lan       this host
db.lan           -  A      10.0.0.7     this host
`,
  );
});

Deno.test("resolve -x, --json and --flush", async () => {
  const io = new FakeIo();
  assertEquals(await resolve(["192.0.2.1"], { reverse: true }, io, ask), 0);
  assertEquals(io.out, "192.0.2.1  web.example\n");
  const json = new FakeIo();
  assertEquals(await resolve(["db", "nobody"], { json: true }, json, ask), 1);
  const [db, nobody] = JSON.parse(json.out);
  assertEquals(db, { name: "db", type: "A", ...KNOWN.db });
  assertEquals([nobody.code, json.err], ["EAI_NONAME", ""]);
  const flushed: unknown[] = [];
  const note = (name: string, { flush }: LookUpOptions) => (flushed.push([name, flush]), ask("db", {}));
  assertEquals(await resolve([], { flush: true }, new FakeIo(), note), 0);
  assertEquals(flushed, [["localhost", true]]);
  await assertRejects(() => resolve([], {}, io, ask), Error, "no name");
});
