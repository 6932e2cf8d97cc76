/*
 * Reading and writing. The kernel does it all; ours is what a Unix socket would say otherwise: that an end was a reset,
 * that there is no address to tell, and that datagrams carry theirs in front.
 */
#include "internal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

ssize_t lvlip_end_of_stream(int fd, uint64_t tag) {
  if (is_datagram(tag)) return lvlip_empty_datagram(fd, tag);
  if (!is_stream_data(tag)) return 0;
  struct pollfd entry = {.fd = fd, .events = POLLIN};
  if (poll(&entry, 1, 0) <= 0 || (entry.revents & POLLHUP) == 0) return 0;
  int error = lvlip_outcome(tag_id(tag), true);
  return error == 0 ? 0 : fail(error);
}

/* The daemon closed its end before it had taken all that was written: that is a reset, or what the outcome says. */
static ssize_t reset(uint64_t tag) {
  int error = is_stream_data(tag) ? lvlip_outcome(tag_id(tag), true) : 0;
  return fail(error == 0 ? ECONNRESET : error);
}

/* What a plain read found out: `count` bytes, 0 or -1. */
static ssize_t after_read(int fd, void *buffer, ssize_t count, size_t wanted) {
  if (count > 0) {
    uint32_t magic;
    if (count < (ssize_t)sizeof(struct lvlip_datagram)) return count;
    memcpy(&magic, buffer, sizeof magic);
    return magic == LVLIP_DATAGRAM_MAGIC ? lvlip_datagram_strip(fd, buffer, count) : count;
  }
  if (count == 0) {
    if (wanted == 0) return 0;
    uint64_t tag = lvlip_tag(fd);
    return tag == 0 ? 0 : lvlip_end_of_stream(fd, tag);
  }
  if (errno != EINVAL && errno != ECONNRESET) return -1;
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return -1;
  /* A Unix socket that is not connected answers EINVAL. */
  return errno == EINVAL ? fail(ENOTCONN) : reset(tag);
}

static ssize_t receive_message(int fd, struct msghdr *message, int flags);

/* A datagram whose header would leave no room in a small buffer; only programs that have such sockets are slowed. */
static bool reads_datagram(int fd) {
  if (!lvlip_has_datagrams()) return false;
  uint64_t tag = lvlip_tag(fd);
  return tag != 0 && is_datagram(tag);
}

static ssize_t read_datagram(int fd, const struct iovec *vectors, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vectors, .msg_iovlen = (size_t)count};
  return receive_message(fd, &message, 0);
}

EXPORT ssize_t read(int fd, void *buffer, size_t length) {
  if (reads_datagram(fd)) return read_datagram(fd, &(struct iovec){buffer, length}, 1);
  return after_read(fd, buffer, real->read(fd, buffer, length), length);
}

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t size) {
  if (length <= size && reads_datagram(fd)) return read_datagram(fd, &(struct iovec){buffer, length}, 1);
  return after_read(fd, buffer, real->__read_chk(fd, buffer, length, size), length);
}

EXPORT ssize_t readv(int fd, const struct iovec *vectors, int count) {
  if (reads_datagram(fd)) return read_datagram(fd, vectors, count);
  ssize_t result = real->readv(fd, vectors, count);
  if (result <= 0) return after_read(fd, NULL, result, 1);
  if (count > 0 && vectors[0].iov_len >= sizeof(struct lvlip_datagram)) {
    uint32_t magic;
    memcpy(&magic, vectors[0].iov_base, sizeof magic);
    /* Of a message in several pieces only the first is put right: nobody was seen to do that. */
    if (magic == LVLIP_DATAGRAM_MAGIC && (size_t)result <= vectors[0].iov_len) {
      return lvlip_datagram_strip(fd, vectors[0].iov_base, result);
    }
  }
  return result;
}

/* MSG_TRUNC on TCP: bytes are taken away and not copied; a Unix socket would copy them. As many as fit at a time. */
static ssize_t discard(int fd, const struct msghdr *message, int flags) {
  char bytes[16384];
  size_t wanted = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) wanted += message->msg_iov[i].iov_len;
  return real->recv(fd, bytes, wanted < sizeof bytes ? wanted : sizeof bytes, flags & ~MSG_TRUNC);
}

static ssize_t receive_message(int fd, struct msghdr *message, int flags) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->recvmsg(fd, message, flags);
  if (is_datagram(tag)) return lvlip_datagram_receive(fd, tag, message, flags);
  switch (tag_state(tag)) {
    case LVLIP_STATE_CONNECTING:
    case LVLIP_STATE_STREAM:
    case LVLIP_STATE_FAILED:
      break;
    default:
      return fail(ENOTCONN);
  }
  /* Streams have no queue of errors, and urgent data comes in line (RFC 6093). */
  if ((flags & MSG_ERRQUEUE) != 0) return fail(EAGAIN);
  if ((flags & MSG_OOB) != 0) return fail(EINVAL);
  struct msghdr plain = {.msg_iov = message->msg_iov, .msg_iovlen = message->msg_iovlen};
  bool discards = (flags & (MSG_TRUNC | MSG_PEEK)) == MSG_TRUNC;
  ssize_t count =
      discards ? discard(fd, message, flags) : real->recvmsg(fd, &plain, flags & ~MSG_CMSG_CLOEXEC);
  message->msg_namelen = 0;
  message->msg_controllen = 0;
  message->msg_flags = plain.msg_flags;
  if (count < 0 && errno == ECONNRESET) return reset(tag);
  if (count != 0) return count;
  for (size_t i = 0; i < message->msg_iovlen; i++) {
    if (message->msg_iov[i].iov_len > 0) return lvlip_end_of_stream(fd, tag);
  }
  return 0;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) { return receive_message(fd, message, flags); }

EXPORT ssize_t recvfrom(int fd, void *restrict buffer, size_t length, int flags, struct sockaddr *restrict address,
                        socklen_t *restrict address_length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->recvfrom(fd, buffer, length, flags, address, address_length);
  struct iovec vector = {buffer, length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (address != NULL && address_length != NULL) {
    message.msg_name = address;
    message.msg_namelen = *address_length;
  }
  ssize_t count = receive_message(fd, &message, flags);
  if (count >= 0 && address != NULL && address_length != NULL) *address_length = message.msg_namelen;
  return count;
}

EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->recv(fd, buffer, length, flags);
  struct iovec vector = {buffer, length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  return receive_message(fd, &message, flags);
}

EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags) {
  if (length > size) return real->__recv_chk(fd, buffer, length, size, flags);
  return recv(fd, buffer, length, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buffer, size_t length, size_t size, int flags,
                              struct sockaddr *restrict address, socklen_t *restrict address_length) {
  if (length > size) return real->__recvfrom_chk(fd, buffer, length, size, flags, address, address_length);
  return recvfrom(fd, buffer, length, flags, address, address_length);
}

static void add_time(struct timespec *time, const struct timespec *more) {
  time->tv_sec += more->tv_sec;
  time->tv_nsec += more->tv_nsec;
  if (time->tv_nsec < 1000000000) return;
  time->tv_sec++;
  time->tv_nsec -= 1000000000;
}

static bool is_past(const struct timespec *time) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
  if (lvlip_tag(fd) == 0) return real->recvmmsg(fd, messages, count, flags, timeout);
  unsigned done = 0;
  struct timespec end;
  if (timeout != NULL) clock_gettime(CLOCK_MONOTONIC, &end);
  if (timeout != NULL) add_time(&end, timeout);
  for (; done < count; done++) {
    /* As Linux: the time is looked at after each message, not while one is waited for. */
    if (timeout != NULL && done > 0 && is_past(&end)) break;
    bool waits = done == 0 || (flags & MSG_WAITFORONE) == 0;
    int each = (flags & ~MSG_WAITFORONE) | (waits ? 0 : MSG_DONTWAIT);
    ssize_t length = receive_message(fd, &messages[done].msg_hdr, each);
    if (length < 0) break;
    messages[done].msg_len = (unsigned)length;
  }
  return done > 0 || count == 0 ? (int)done : -1;
}

/* Writing failed with EPIPE: the first time the program is told why, after that it is a broken pipe. */
static ssize_t broken_pipe(uint64_t tag, int flags) {
  int error = is_stream_data(tag) ? lvlip_outcome(tag_id(tag), true) : 0;
  if (error != 0) return fail(error);
  if ((flags & MSG_NOSIGNAL) == 0) raise(SIGPIPE);
  return fail(EPIPE);
}

static ssize_t send_message(int fd, const struct msghdr *message, int flags) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->sendmsg(fd, message, flags);
  if (is_datagram(tag)) return lvlip_datagram_send(fd, tag, message, flags);
  if ((flags & MSG_FASTOPEN) != 0) {
    if (lvlip_fast_open(fd, tag, message) < 0) return -1;
    tag = lvlip_tag(fd);
    if (tag == 0) return real->sendmsg(fd, message, flags);
  }
  if (tag_state(tag) == LVLIP_STATE_ATTACHED || tag_state(tag) == LVLIP_STATE_FRESH ||
      tag_state(tag) == LVLIP_STATE_LISTENING) {
    return broken_pipe(tag, flags);
  }
  struct msghdr plain = {.msg_iov = message->msg_iov, .msg_iovlen = message->msg_iovlen};
  ssize_t count = real->sendmsg(fd, &plain, (flags & ~(MSG_OOB | MSG_FASTOPEN)) | MSG_NOSIGNAL);
  return count < 0 && (errno == EPIPE || errno == ENOTCONN) ? broken_pipe(tag, flags) : count;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) { return send_message(fd, message, flags); }

EXPORT ssize_t sendto(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *address,
                      socklen_t address_length) {
  if (lvlip_tag(fd) == 0) return real->sendto(fd, buffer, length, flags, address, address_length);
  struct iovec vector = {(void *)(uintptr_t)buffer, length};
  struct msghdr message = {
      .msg_name = (void *)(uintptr_t)address, .msg_namelen = address_length, .msg_iov = &vector, .msg_iovlen = 1};
  return send_message(fd, &message, flags);
}

EXPORT ssize_t send(int fd, const void *buffer, size_t length, int flags) {
  if (lvlip_tag(fd) == 0) return real->send(fd, buffer, length, flags);
  struct iovec vector = {(void *)(uintptr_t)buffer, length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  return send_message(fd, &message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  if (lvlip_tag(fd) == 0) return real->sendmmsg(fd, messages, count, flags);
  unsigned done = 0;
  for (; done < count; done++) {
    ssize_t length = send_message(fd, &messages[done].msg_hdr, flags);
    if (length < 0) break;
    messages[done].msg_len = (unsigned)length;
  }
  return done > 0 || count == 0 ? (int)done : -1;
}

EXPORT ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
  ssize_t count = real->splice(in, in_offset, out, out_offset, length, flags);
  if (count != 0 || length == 0) return count;
  uint64_t tag = lvlip_tag(in);
  return tag == 0 ? 0 : lvlip_end_of_stream(in, tag);
}
