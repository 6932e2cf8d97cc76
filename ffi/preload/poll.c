/*
 * poll(2): an error of a datagram socket's queue (IP_RECVERR) comes to us as a message, which the kernel calls POLLIN.
 * Programs that ask for such errors wait for POLLERR. Others pay one load.
 */
#include "internal.h"

#include <stdatomic.h>

static atomic_bool is_wanted;

void lvlip_want_errors(void) { atomic_store_explicit(&is_wanted, true, memory_order_relaxed); }

static int put_right(struct pollfd *entries, nfds_t count, int result) {
  if (result <= 0 || !atomic_load_explicit(&is_wanted, memory_order_relaxed)) return result;
  for (nfds_t i = 0; i < count; i++) {
    struct pollfd *entry = &entries[i];
    if ((entry->revents & (POLLIN | POLLRDNORM)) == 0) continue;
    uint64_t tag = lvlip_tag(entry->fd);
    if (tag == 0 || !is_datagram(tag) || !lvlip_has_queued_error(entry->fd, tag)) continue;
    entry->revents = (short)((entry->revents & ~(POLLIN | POLLRDNORM)) | POLLERR);
  }
  return result;
}

EXPORT int poll(struct pollfd *entries, nfds_t count, int timeout) {
  return put_right(entries, count, real->poll(entries, count, timeout));
}

EXPORT int __poll_chk(struct pollfd *entries, nfds_t count, int timeout, size_t size) {
  return put_right(entries, count, real->__poll_chk(entries, count, timeout, size));
}

EXPORT int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *signals) {
  return put_right(entries, count, real->ppoll(entries, count, timeout, signals));
}
