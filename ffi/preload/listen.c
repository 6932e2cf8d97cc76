/* listen(2) and accept(2): the daemon sends each connection as a descriptor, attached to a record. */
#include "internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* With the smallest buffer this much makes a socket unwritable: an idle listener must not report POLLOUT. */
static const char listener_filler[256];

EXPORT int listen(int fd, int backlog) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->listen(fd, backlog);
  if (is_datagram(tag)) return fail(EOPNOTSUPP);
  if (is_stream_data(tag)) return fail(EINVAL);
  bool was_listening = tag_state(tag) == LVLIP_STATE_LISTENING;
  tag = lvlip_attach(fd, tag);
  if (tag == 0) return -1;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_LISTEN, tag_id(tag));
  record.local.family = LVLIP_FAMILY_IPV4;
  /* As Linux: the number is taken as unsigned, and somaxconn limits it. */
  record.arg[0] = backlog < 0 || backlog > 4096 ? 4096 : backlog;
  if (lvlip_call_about(fd, tag, &record) < 0) return -1;
  if (was_listening) return 0;
  int smallest = 0;
  real->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest);
  real->send(fd, listener_filler, sizeof listener_filler, MSG_NOSIGNAL | MSG_DONTWAIT);
  return lvlip_set_tag(fd, LVLIP_STATE_LISTENING, tag_id(tag));
}

/* A record whose descriptor finds no place is lost, and the connection with it: so first see that there is one. */
static int check_descriptor_free(int fd) {
  int probe = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (probe < 0) return -1;
  close(probe);
  return 0;
}

static int descriptor_of(struct msghdr *message) {
  int fd = -1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
  }
  return fd;
}

static int accept_record(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct lvlip_record record;
  struct iovec vector = {&record, sizeof record};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (check_descriptor_free(fd) < 0) return -1;
  /* Waits, or not, and is interrupted as the descriptor has it. */
  ssize_t count = real->recvmsg(fd, &message, (flags & SOCK_CLOEXEC) != 0 ? MSG_CMSG_CLOEXEC : 0);
  /* Shut down, or the daemon has gone, which then left what we had put there unread. */
  if (count == 0 || (count < 0 && errno == ECONNRESET)) return fail(EINVAL);
  if (count < 0) return -1;
  int accepted = descriptor_of(&message);
  if (count != sizeof record || record.magic != LVLIP_MAGIC || accepted < 0) {
    if (accepted >= 0) close(accepted);
    return fail(ECONNABORTED);
  }
  /* The daemon's ends of the pair do not wait by a flag of each call: this end does, until told not to. */
  if ((flags & SOCK_NONBLOCK) != 0) fcntl(accepted, F_SETFL, fcntl(accepted, F_GETFL) | O_NONBLOCK);
  lvlip_write_address(&record.remote, address, length);
  return accepted;
}

static int accept_with(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->accept4(fd, address, length, flags);
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) return fail(EINVAL);
  if (is_datagram(tag)) return fail(EOPNOTSUPP);
  if (tag_state(tag) != LVLIP_STATE_LISTENING) return fail(EINVAL);
  return accept_record(fd, address, length, flags);
}

EXPORT int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  return accept_with(fd, address, length, 0);
}

EXPORT int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags) {
  return accept_with(fd, address, length, flags);
}
