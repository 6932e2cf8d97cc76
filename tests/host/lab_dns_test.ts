import { assert, assertEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { answerQuery, startNameServer } from "../../lib/host/lab_dns.ts";
import { decodeResponse, encodeQuery, MessageStream, type Question } from "../../lib/resolver/message.ts";
import { RecordType } from "../../lib/resolver/types.ts";

const SERVER: Question = { name: "server.lab", type: RecordType.A };

function read(bytes: Uint8Array, question: Question) {
  const response = decodeResponse(bytes, 7, question);
  assert(typeof response !== "string", `${response}`);
  return response;
}

/** The rcode and what the records say. */
function ask(question: Question): [number, string[]] {
  const { rcode, records } = read(answerQuery(encodeQuery(7, question, true, false))!, question);
  return [rcode, records.map(({ data }) => data)];
}

Deno.test("the lab's names: addresses, the way back from each address, and what there is not", () => {
  assertEquals(ask(SERVER), [0, ["192.168.99.1"]]);
  assertEquals(ask({ name: "1.99.168.192.in-addr.arpa", type: RecordType.PTR }), [0, ["server.lab"]]);
  assertEquals(ask({ name: "254.99.168.192.in-addr.arpa", type: RecordType.PTR }), [0, ["isp.lab"]]);
  assertEquals(ask({ name: "server.lab", type: RecordType.PTR }), [0, []]);
  assertEquals(ask({ name: "lab", type: RecordType.A }), [0, []]);
  assertEquals(ask({ name: "example.org", type: RecordType.A }), [3, []]);
  const denied = { name: "no.lab", type: RecordType.A } as const;
  const { isAuthoritative, negativeTtl } = read(
    answerQuery(encodeQuery(7, denied, true, false))!,
    denied,
  );
  assertEquals([isAuthoritative, negativeTtl], [true, 60]);
});

Deno.test("the lab's name server answers nothing to what is no query", () => {
  assertEquals(answerQuery(new Uint8Array(11)), null);
  assertEquals(answerQuery(new Uint8Array(12)), null, "without a question");
  assertEquals(answerQuery(new Uint8Array(40).fill(0xff)), null);
  const query = encodeQuery(7, SERVER, true, false);
  assertEquals(answerQuery(answerQuery(query)!), null, "a response");
});

Deno.test("the lab's name server listens on UDP and TCP, and takes several queries of one connection", async () => {
  const stop = new AbortController();
  const port = await startNameServer("127.0.0.1", 0, stop.signal);
  const socket = createSocket("udp4");
  const came = once(socket, "message");
  socket.send(encodeQuery(7, SERVER, true, false), port, "127.0.0.1");
  assertEquals(read((await came)[0], SERVER).records.length, 1);
  socket.close();
  {
    using stream = await Deno.connect({ hostname: "127.0.0.1", port });
    const query = encodeQuery(7, SERVER, true, true);
    await stream.write(new Uint8Array([...query, ...query]));
    const messages = new MessageStream();
    const answers: Uint8Array[] = [];
    for await (const bytes of stream.readable) {
      answers.push(...messages.push(bytes));
      if (answers.length === 2) break;
    }
    assertEquals(answers.map((answer) => read(answer, SERVER).records[0].data), [
      "192.168.99.1",
      "192.168.99.1",
    ]);
  }
  stop.abort();
});
