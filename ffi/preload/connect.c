/* connect(2) of streams. */
#include "internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* What is sent behind the request, so that the socket is not writable until the daemon has taken it away. */
static const char filler[1 << 16];

/* Most filler a request may announce: a limit of the protocol. */
#define MAX_FILLER (1u << 22)

/* As STREAM_SEND_BUFFER in lib/ipc/stream_role.ts. */
#define SEND_BUFFER 212992

/* A Unix socket is writable while a quarter of its buffer is used: enough to fill more than that. */
static uint32_t filler_length(int fd) {
  int size = 0;
  socklen_t length = sizeof size;
  if (real->getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 || size <= 0) size = 212992;
  uint32_t wanted = (uint32_t)size / 4 + 1;
  return wanted < MAX_FILLER ? wanted : MAX_FILLER;
}

/* Request and filler in one go; in pieces only when a signal or a small buffer cuts it. */
static int send_request(int fd, struct lvlip_record *record) {
  record->length = filler_length(fd);
  size_t total = sizeof *record + record->length;
  size_t sent = 0;
  while (sent < total) {
    struct iovec vectors[2];
    int count = 0;
    size_t skipped = sent;
    if (skipped < sizeof *record) {
      vectors[count++] = (struct iovec){(char *)record + skipped, sizeof *record - skipped};
      skipped = 0;
    } else {
      skipped -= sizeof *record;
    }
    size_t rest = record->length - skipped;
    vectors[count++] = (struct iovec){(void *)(uintptr_t)filler, rest < sizeof filler ? rest : sizeof filler};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)count};
    ssize_t result = real->sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result >= 0) {
      sent += (size_t)result;
    } else if (errno == EAGAIN && sent == 0) {
      /* Options that were written lie in a small buffer: the daemon is about to read them. */
      struct pollfd entry = {.fd = fd, .events = POLLOUT};
      if (poll(&entry, 1, -1) < 0 && errno != EINTR) return -1;
    } else if (errno == EAGAIN) {
      /* The daemon takes the filler away only when the connection is made, so this would wait for ever. */
      return fail(ENOBUFS);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      /* It refused already: the outcome tells why. */
      return 0;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

/*
 * The connection is there. Its Unix socket gets the larger send buffer that the daemon gives to its own end, so that a
 * program that writes much is seldom idle until the daemon has noticed it (26.2 Gbit/s by iperf3 instead of 24.1), unless
 * the program asked for a smaller one; and only now, since before it would have taken as much more filler.
 */
static void connected(int fd, uint64_t id) {
  lvlip_set_tag(fd, LVLIP_STATE_STREAM, id);
  int size = 0;
  socklen_t length = sizeof size;
  if (real->getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 || size < SEND_BUFFER) return;
  size = SEND_BUFFER;
  real->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static short poll_now(int fd) {
  struct pollfd entry = {.fd = fd, .events = POLLOUT};
  int saved = errno;
  int count = poll(&entry, 1, 0);
  errno = saved;
  return count > 0 ? entry.revents : 0;
}

int lvlip_connect_state(int fd) {
  short events = poll_now(fd);
  if ((events & (POLLHUP | POLLERR)) != 0) return -1;
  if ((events & POLLOUT) == 0) return 0;
  /* A daemon that closes frees the filler after it has said so: only the second look is sure. */
  return (poll_now(fd) & (POLLHUP | POLLERR)) != 0 ? -1 : 1;
}

int lvlip_take_stream_error(int fd, uint64_t tag) {
  uint64_t id = tag_id(tag);
  switch (tag_state(tag)) {
    case LVLIP_STATE_CONNECTING: {
      int state = lvlip_connect_state(fd);
      if (state == 0) return 0;
      if (state > 0) {
        connected(fd, id);
        return 0;
      }
      return lvlip_failure(fd, tag);
    }
    case LVLIP_STATE_STREAM:
      return (poll_now(fd) & (POLLHUP | POLLERR)) != 0 ? lvlip_outcome(id, true) : 0;
    default:
      return 0;
  }
}

/* The program is told of a connect that was under way. */
static int connect_outcome(int fd, uint64_t tag) {
  int state = lvlip_connect_state(fd);
  if (state == 0) return fail(EALREADY);
  if (state > 0) {
    connected(fd, tag_id(tag));
    return 0;
  }
  int error = lvlip_failure(fd, tag);
  lvlip_set_tag(fd, LVLIP_STATE_FAILED, tag_id(tag));
  return fail(error == 0 ? ECONNABORTED : error);
}

/* SO_SNDTIMEO, which limits a connect too; -1: none. */
static int send_timeout_ms(int fd) {
  struct timeval timeout = {0};
  socklen_t length = sizeof timeout;
  if (real->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, &length) < 0) return -1;
  if (timeout.tv_sec == 0 && timeout.tv_usec == 0) return -1;
  if (timeout.tv_sec > 1000000) return -1;
  return (int)(timeout.tv_sec * 1000 + (timeout.tv_usec + 999) / 1000);
}

static int wait_connected(int fd, uint64_t id) {
  struct pollfd entry = {.fd = fd, .events = POLLOUT};
  /* A signal without SA_RESTART ends the wait as it would the kernel's; the connect goes on. */
  int count = poll(&entry, 1, send_timeout_ms(fd));
  if (count < 0) return -1;
  if (count == 0) return fail(EINPROGRESS);
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0 || tag_id(tag) != id) return fail(EBADF);
  /* Another thread may have looked meanwhile. */
  return tag_state(tag) == LVLIP_STATE_STREAM ? 0 : connect_outcome(fd, tag);
}

static int begin_connect(int fd, uint64_t tag, const struct lvlip_endpoint *remote) {
  if (lvlip_is_sandboxed()) return fail(EPERM);
  if (tag_state(tag) == LVLIP_STATE_FAILED) {
    if (lvlip_renew(fd, tag) < 0) return -1;
    tag = lvlip_tag(fd);
  }
  uint64_t id = tag_id(tag);
  if (tag_state(tag) == LVLIP_STATE_FRESH) {
    if (lvlip_connect_daemon(fd) < 0) return errno == EISCONN ? fail(EALREADY) : -1;
    id = lvlip_random_id();
  }
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_CONNECT, id);
  record.flags = LVLIP_FLAG_QUIET;
  record.remote = *remote;
  lvlip_set_tag(fd, LVLIP_STATE_CONNECTING, id);
  if (send_request(fd, &record) < 0) return -1;
  int status = fcntl(fd, F_GETFL);
  if (status >= 0 && (status & O_NONBLOCK) != 0) return fail(EINPROGRESS);
  return wait_connected(fd, id);
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) {
    int result = lvlip_from_kernel(fd, address, length);
    if (result <= 0) return result < 0 ? -1 : real->connect(fd, address, length);
    tag = lvlip_tag(fd);
  }
  if (is_datagram(tag)) return lvlip_datagram_connect(fd, tag, address, length);
  if (address != NULL && length >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) {
    return tag_state(tag) == LVLIP_STATE_FRESH ? 0 : lvlip_renew(fd, tag);
  }
  struct lvlip_endpoint remote;
  if (lvlip_read_address(address, length, &remote) < 0) return -1;
  switch (tag_state(tag)) {
    case LVLIP_STATE_CONNECTING:
      return connect_outcome(fd, tag);
    case LVLIP_STATE_STREAM:
    case LVLIP_STATE_LISTENING:
      return fail(EISCONN);
    default:
      /* The kernel's answer to port 0 is a refusal by whoever is asked. */
      if (remote.port == 0) return fail(ECONNREFUSED);
      if (lvlip_is_loopback(&remote)) {
        int result = lvlip_to_kernel(fd, tag, &remote, false);
        if (result != 0) return result < 0 ? -1 : real->connect(fd, address, length);
      }
      return begin_connect(fd, tag, &remote);
  }
}

/*
 * RFC 7413: the SYN waits for the first bytes. What is sent now lies behind the filler until the stack takes it: with a
 * cookie into the SYN, without one after the handshake. So this succeeds where Linux, without a cookie, may say EINPROGRESS.
 */
int lvlip_fast_open(int fd, uint64_t tag, const struct msghdr *message) {
  switch (tag_state(tag)) {
    case LVLIP_STATE_CONNECTING:
      /* As Linux: the first one after the handshake is sent. */
      return connect_outcome(fd, tag);
    case LVLIP_STATE_STREAM:
    case LVLIP_STATE_LISTENING:
      return fail(EISCONN);
    default:
      break;
  }
  struct lvlip_endpoint remote;
  if (message->msg_name == NULL) return fail(EINVAL);
  if (lvlip_read_address(message->msg_name, message->msg_namelen, &remote) < 0) return -1;
  int held = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &held, sizeof held) < 0) return fail(EOPNOTSUPP);
  if (connect(fd, message->msg_name, message->msg_namelen) == 0 || errno == EINPROGRESS) return 0;
  return -1;
}
