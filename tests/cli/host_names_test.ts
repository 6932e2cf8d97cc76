import { assertEquals } from "@std/assert";
import { HostNames } from "../../lib/cli/host_names.ts";

Deno.test("each address is asked for once; an error, and no answer in time, are no name", async () => {
  const asked: string[] = [];
  const names = new HostNames((address) => {
    asked.push(address);
    if (address === "10.0.0.1") return Promise.resolve("gateway");
    return address === "10.0.0.2" ? Promise.reject(new Error("no such name")) : new Promise(() => {});
  }, 1);
  names.expect("10.0.0.1");
  const found = await Promise.all(
    ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map((each) => names.of(each)),
  );
  assertEquals(found, ["gateway", "gateway", null, null]);
  assertEquals(asked, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
});

Deno.test("with -n nobody is asked", async () => {
  assertEquals(await new HostNames(null).of("10.0.0.1"), null);
});
