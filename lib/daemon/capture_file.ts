import { errnoText } from "../../ffi/errno.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC } from "../../ffi/libc.ts";
import { Block, cString } from "../../ffi/memory.ts";
import { CommandError } from "../cli/errors.ts";
import { EINTR } from "../errno.ts";
import type { ByteSink } from "../trace/pcapng.ts";

const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const MODE = 0o644;

/**
 * Opens the file that a capture is written to, from scratch. A descriptor and not a Deno file, because it is opened
 * with privileges and written to without. Throws `CommandError`.
 */
export function openCaptureFile(path: string): number {
  const fd = libc().open(cString(path).bytes, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
  if (fd >= 0) return fd;
  throw new CommandError(
    `Cannot write the capture ${path}: ${errnoText(errno())}`,
    "choose another --pcap FILE",
  );
}

/** Writes to a descriptor. Throws `SysError` when the disk is full. */
export class DescriptorSink {
  readonly #block: Block;

  /** `size`: bytes written at once. */
  constructor(readonly fd: number, size = 65536) {
    this.#block = new Block(size);
  }

  readonly write: ByteSink = (bytes) => {
    const block = this.#block;
    for (let done = 0; done < bytes.length;) {
      // Copied, so that the memory the kernel is pointed at is one that we own.
      const piece = bytes.subarray(done, done + block.bytes.length);
      block.bytes.set(piece);
      const count = libc().write(this.fd, block.pointer, piece.length);
      if (count > 0) done += count;
      else if (errno() !== EINTR) check("write", count);
    }
  };

  close(): void {
    closeDescriptor(this.fd);
  }
}
