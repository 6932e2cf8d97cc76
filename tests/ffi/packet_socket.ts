import { check, closeDescriptor, libc, O_NONBLOCK } from "../../ffi/libc.ts";
import { Block } from "../../ffi/memory.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_NETWORK_ORDER = 0x0300;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;

/** The kernel's side of an interface, frame by frame: packet(7). */
export class PacketSocket {
  readonly fd: number;
  readonly #buffer = new Block(70_000);

  /** `vnetHeader`: each frame sent begins with a struct virtio_net_hdr. `sendOnly`: nothing is received. */
  constructor(index: number, vnetHeader = false, sendOnly = false) {
    const protocol = sendOnly ? 0 : ETH_P_ALL_NETWORK_ORDER;
    this.fd = check("socket", libc().socket(AF_PACKET, SOCK_RAW | O_NONBLOCK, protocol));
    const address = new Block(20); // struct sockaddr_ll
    address.view.setUint16(0, AF_PACKET, true);
    address.view.setUint16(2, protocol, true);
    address.view.setInt32(4, index, true);
    check("bind", libc().bind(this.fd, address.bytes, 20));
    if (vnetHeader) {
      const on = new Block(4);
      on.words[0] = 1;
      check("setsockopt", libc().setsockopt(this.fd, SOL_PACKET, PACKET_VNET_HDR, on.bytes, 4));
    }
  }

  send(frame: Uint8Array): void {
    this.#buffer.bytes.set(frame);
    check("send", libc().send(this.fd, this.#buffer.bytes, frame.length, 0));
  }

  /** The next frame that passes the filter, waiting up to a second; null if none came. */
  receive(filter: (frame: Uint8Array) => boolean): Uint8Array | null {
    for (let waited = 0; waited < 1000; waited += 5) {
      for (;;) {
        const length = libc().recv(this.fd, this.#buffer.bytes, this.#buffer.bytes.length, 0);
        if (length < 0) break;
        const frame = this.#buffer.bytes.slice(0, length);
        if (filter(frame)) return frame;
      }
      libc().poll(null, 0, 5);
    }
    return null;
  }

  close(): void {
    closeDescriptor(this.fd);
  }
}
