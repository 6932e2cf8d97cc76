/* socket(2), tags, and how a socket becomes known to the daemon. */
#include "internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

uint64_t lvlip_tag(int fd) {
  uint64_t tag = 0;
  socklen_t length = sizeof tag;
  int saved = errno;
  int result = real->getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &tag, &length);
  errno = saved;
  if (result < 0 || length != sizeof tag || tag >> LVLIP_TAG_MAGIC_SHIFT != LVLIP_TAG_MAGIC) return 0;
  return tag;
}

static uint64_t make_tag(enum lvlip_state state, uint64_t id) {
  return (uint64_t)LVLIP_TAG_MAGIC << LVLIP_TAG_MAGIC_SHIFT | (uint64_t)state << LVLIP_TAG_STATE_SHIFT | id;
}

int lvlip_set_tag(int fd, enum lvlip_state state, uint64_t id) {
  uint64_t tag = make_tag(state, id);
  return real->setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &tag, sizeof tag);
}

uint64_t lvlip_random_id(void) {
  uint64_t id = 0;
  do {
    if (getrandom(&id, sizeof id, 0) != sizeof id) id = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    id &= LVLIP_TAG_ID_MASK;
  } while (id == 0);
  return id;
}

static int stream_socket(int flags) {
  int fd = real->socket(AF_UNIX, SOCK_STREAM | flags, 0);
  if (fd < 0) return -1;
  if (lvlip_set_tag(fd, LVLIP_STATE_FRESH, 0) == 0) return fd;
  int saved = errno;
  close(fd);
  return fail(saved);
}

EXPORT int socket(int domain, int type, int protocol) {
  /* The stack has no IPv6: programs fall back to IPv4, which they would not if the kernel gave them a socket. */
  if (domain == AF_INET6) return fail(EAFNOSUPPORT);
  if (domain != AF_INET) return real->socket(domain, type, protocol);
  int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
  switch (type & ~flags) {
    case SOCK_STREAM:
      if (protocol != 0 && protocol != IPPROTO_TCP) return fail(EPROTONOSUPPORT);
      return stream_socket(flags);
    case SOCK_DGRAM:
      if (protocol == IPPROTO_ICMP) return lvlip_datagram_socket(LVLIP_KIND_ICMP, 0, flags);
      if (protocol != 0 && protocol != IPPROTO_UDP) return fail(EPROTONOSUPPORT);
      return lvlip_datagram_socket(LVLIP_KIND_DATAGRAM, 0, flags);
    case SOCK_RAW:
      if (protocol < 0 || protocol > IPPROTO_RAW) return fail(EINVAL);
      if (protocol == 0) return fail(EPROTONOSUPPORT);
      return lvlip_datagram_socket(LVLIP_KIND_RAW, protocol, flags);
    default:
      return fail(ESOCKTNOSUPPORT);
  }
}

/* A daemon that does not serve this user says so before it closes. */
static int refusal(int fd) {
  struct lvlip_record record;
  ssize_t count = real->recv(fd, &record, sizeof record, MSG_DONTWAIT);
  return count == sizeof record && record.magic == LVLIP_MAGIC ? lvlip_answered_error(&record) : 0;
}

int lvlip_failure(int fd, uint64_t tag) {
  int error = lvlip_outcome(tag_id(tag), true);
  return error == 0 ? refusal(fd) : error;
}

int lvlip_call_about(int fd, uint64_t tag, struct lvlip_record *record) {
  if (lvlip_call(record) == 0) return 0;
  if (errno != ENOENT || tag_state(tag) != LVLIP_STATE_ATTACHED) return -1;
  int error = lvlip_failure(fd, tag);
  return fail(error == 0 ? ENOENT : error);
}

static int bind_to(int fd, uint64_t tag, const struct lvlip_endpoint *local) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_BIND, tag_id(tag));
  record.local = *local;
  return lvlip_call_about(fd, tag, &record);
}

int lvlip_renew(int fd, uint64_t tag) {
  struct lvlip_settings settings;
  if (lvlip_read_settings(tag, &settings) < 0) return -1;
  int fresh = stream_socket(SOCK_CLOEXEC);
  if (fresh < 0 || lvlip_replace(fd, fresh) < 0) return -1;
  lvlip_apply_settings(fd, &settings, setsockopt);
  if (settings.local.family != LVLIP_FAMILY_IPV4) return 0;
  if (!settings.is_port_chosen) settings.local.port = 0;
  tag = lvlip_attach(fd, lvlip_tag(fd));
  return tag == 0 ? -1 : bind_to(fd, tag, &settings.local);
}

/* Another thread is attaching this very socket: waits until it has. */
static uint64_t await_attached(int fd) {
  for (int tries = 0; tries < 1000; tries++) {
    uint64_t tag = lvlip_tag(fd);
    if (tag != 0 && tag_state(tag) != LVLIP_STATE_FRESH) return tag;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  errno = EBUSY;
  return 0;
}

uint64_t lvlip_attach(int fd, uint64_t tag) {
  if (tag_state(tag) == LVLIP_STATE_FAILED) {
    return lvlip_renew(fd, tag) < 0 ? 0 : lvlip_attach(fd, lvlip_tag(fd));
  } else if (tag_state(tag) != LVLIP_STATE_FRESH) {
    return tag;
  }
  if (lvlip_is_sandboxed()) {
    errno = EPERM;
    return 0;
  }
  if (lvlip_connect_daemon(fd) < 0) return errno == EISCONN ? await_attached(fd) : 0;
  /* Nobody waits for an answer: should the daemon refuse, it closes the socket, and whoever uses it is told why. */
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SOCKET, lvlip_random_id());
  record.flags = LVLIP_FLAG_QUIET;
  record.arg[0] = LVLIP_KIND_STREAM;
  ssize_t sent = real->send(fd, &record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != sizeof record && errno != EPIPE && errno != ECONNRESET) {
    errno = ENETDOWN;
    return 0;
  }
  if (lvlip_set_tag(fd, LVLIP_STATE_ATTACHED, record.id) < 0) return 0;
  return make_tag(LVLIP_STATE_ATTACHED, record.id);
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->bind(fd, address, length);
  struct lvlip_endpoint local;
  if (lvlip_read_address(address, length, &local) < 0) return -1;
  if (!is_datagram(tag) && (is_stream_data(tag) || tag_state(tag) == LVLIP_STATE_LISTENING)) return fail(EINVAL);
  tag = lvlip_attach(fd, tag);
  return tag == 0 ? -1 : bind_to(fd, tag, &local);
}

EXPORT int shutdown(int fd, int how) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->shutdown(fd, how);
  switch (tag_state(tag)) {
    case LVLIP_STATE_FRESH:
    case LVLIP_STATE_ATTACHED:
    case LVLIP_STATE_FAILED:
    case LVLIP_STATE_DATAGRAM:
    case LVLIP_STATE_ICMP:
    case LVLIP_STATE_RAW:
      return fail(how < SHUT_RD || how > SHUT_RDWR ? EINVAL : ENOTCONN);
    case LVLIP_STATE_LISTENING:
      /* A listener has nothing to write; what else is shut down ends the listening, and accept says so. */
      return how == SHUT_WR ? 0 : real->shutdown(fd, SHUT_RDWR);
    default:
      return real->shutdown(fd, how);
  }
}
