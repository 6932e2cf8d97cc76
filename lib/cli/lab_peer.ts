/** `lvl-ip lab-peer`: the servers of the lab's 192.168.99.1 or 8.8.8.8. Hidden: the lab starts it. */
import { BULK_PORT, DNS_PORT, ECHO_PORT, HTTP_PORT, startPeer } from "../host/lab_peer.ts";

export interface LabPeerOptions {
  /** Where to listen; everywhere without it. */
  address?: string;
  /** Be the name server. */
  names?: boolean;
}

/** Serves until SIGINT or SIGTERM; the exit status. */
export async function labPeer(options: LabPeerOptions): Promise<number> {
  const hostname = options.address ?? "0.0.0.0";
  const end = new AbortController();
  const ended = Promise.withResolvers<void>();
  const onSignal = () => {
    end.abort();
    ended.resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  if (options.names) {
    const { startNameServer } = await import("../host/lab_dns.ts");
    await startNameServer(hostname, DNS_PORT, end.signal);
    console.log(`lab-peer listens: names ${DNS_PORT}`);
  } else {
    startPeer(hostname, end.signal);
    console.log(`lab-peer listens: echo ${ECHO_PORT}, bulk ${BULK_PORT}, http ${HTTP_PORT}`);
  }
  await ended.promise;
  return 0;
}
