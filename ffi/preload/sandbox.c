/*
 * Watches for filters of system calls: behind one, a connection to the daemon could end the process. From then on only
 * what the kernel does by itself is done, and an end of a stream is a plain end.
 */
#include "internal.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static atomic_bool sandboxed;

bool lvlip_is_sandboxed(void) { return atomic_load_explicit(&sandboxed, memory_order_relaxed); }

EXPORT int prctl(int option, ...) {
  unsigned long argument[4];
  va_list list;
  va_start(list, option);
  for (int i = 0; i < 4; i++) argument[i] = va_arg(list, unsigned long);
  va_end(list);
  int result = real->prctl(option, argument[0], argument[1], argument[2], argument[3]);
  if (option == PR_SET_SECCOMP && result == 0) atomic_store(&sandboxed, true);
  return result;
}

/* libseccomp goes through syscall(2), and so do those who try io_uring, which would make calls that nobody sees. */
EXPORT long syscall(long number, ...) {
  long argument[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) argument[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_io_uring_setup) return fail(ENOSYS);
  long result =
      real->syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
  if (number == SYS_seccomp && result >= 0 &&
      (argument[0] == SECCOMP_SET_MODE_FILTER || argument[0] == SECCOMP_SET_MODE_STRICT)) {
    atomic_store(&sandboxed, true);
  }
  return result;
}
