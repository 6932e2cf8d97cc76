/*
 * UDP, and echo sockets. A SOCK_SEQPACKET connection to the daemon keeps the bounds of messages. Ours always carry a
 * header in front, and so do those that come to an unconnected socket; a connected one gets the bare message, so that
 * plain read and write do. The header names the socket's id, which nobody outside knows: no message can feign one.
 */
#include "internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/errqueue.h>


#define HEADER sizeof(struct lvlip_datagram)
/* Pieces of one message that are taken. */
#define MAX_PIECES 128
#define MAX_PAYLOAD 65507u
/* Of an echo socket, whose messages bring their ICMP header along. */
#define MAX_ICMP 65515u

static bool is_connected(uint64_t tag) {
  return tag_state(tag) == LVLIP_STATE_DATAGRAM_CONNECTED || tag_state(tag) == LVLIP_STATE_ICMP_CONNECTED;
}

int lvlip_datagram_socket(int kind, int flags) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SOCKET, 0);
  record.arg[0] = kind;
  int fd;
  int result = lvlip_call_for_descriptor(&record, &fd);
  if (result < 0) {
    int saved = errno;
    if (fd >= 0) close(fd);
    return fail(saved);
  }
  if (fd < 0) return fail(EMFILE);
  if ((flags & SOCK_CLOEXEC) == 0) fcntl(fd, F_SETFD, 0);
  if ((flags & SOCK_NONBLOCK) != 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

int lvlip_datagram_connect(int fd, uint64_t tag, const struct sockaddr *address, socklen_t length) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_ASSOCIATE, tag_id(tag));
  if (address == NULL) return fail(EFAULT);
  if (length < (socklen_t)sizeof(sa_family_t)) return fail(EINVAL);
  bool dissolve = address->sa_family == AF_UNSPEC;
  if (!dissolve && lvlip_read_address(address, length, &record.remote) < 0) return -1;
  if (!dissolve && lvlip_is_loopback(&record.remote) && !is_echo(tag)) {
    int result = lvlip_to_kernel(fd, tag, &record.remote, false);
    if (result != 0) return result < 0 ? -1 : real->connect(fd, address, length);
  }
  if (lvlip_call(&record) < 0) return -1;
  enum lvlip_state state = is_echo(tag) ? (dissolve ? LVLIP_STATE_ICMP : LVLIP_STATE_ICMP_CONNECTED)
                                        : (dissolve ? LVLIP_STATE_DATAGRAM : LVLIP_STATE_DATAGRAM_CONNECTED);
  return lvlip_set_tag(fd, state, tag_id(tag));
}

static bool is_header(const struct lvlip_datagram *header, ssize_t length, uint64_t tag) {
  return length >= (ssize_t)HEADER && header->magic == LVLIP_DATAGRAM_MAGIC && header->id == tag_id(tag);
}

static void drop_message(int fd) {
  char byte;
  int saved = errno;
  real->recv(fd, &byte, sizeof byte, MSG_DONTWAIT);
  errno = saved;
}

/* Puts one control message behind those that are there, if it fits. */
static void add_control(struct msghdr *message, size_t *used, int level, int type, const void *data, size_t size) {
  size_t at = CMSG_ALIGN(*used);
  if (message->msg_control == NULL || at + CMSG_LEN(size) > message->msg_controllen) {
    message->msg_flags |= MSG_CTRUNC;
    return;
  }
  struct cmsghdr header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
  char *to = (char *)message->msg_control + at;
  memcpy(to, &header, sizeof header);
  memcpy(to + CMSG_LEN(0), data, size);
  *used = at + CMSG_LEN(size);
}

/* What the program asked for with IP_RECVTTL, IP_PKTINFO and SO_TIMESTAMP; the daemon remembers that. */
static void give_control(struct msghdr *message, const struct lvlip_datagram *header) {
  size_t used = 0;
  if ((header->flags & LVLIP_DATAGRAM_TIMESTAMP) != 0) {
    struct timeval time = {.tv_sec = (time_t)(header->timestamp_us / 1000000),
                           .tv_usec = (suseconds_t)(header->timestamp_us % 1000000)};
    add_control(message, &used, SOL_SOCKET, SO_TIMESTAMP, &time, sizeof time);
  }
  if ((header->flags & LVLIP_DATAGRAM_PKTINFO) != 0) {
    struct in_pktinfo info = {.ipi_ifindex = 1};
    memcpy(&info.ipi_addr, header->local_address, 4);
    info.ipi_spec_dst = info.ipi_addr;
    add_control(message, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  }
  if ((header->flags & LVLIP_DATAGRAM_TTL) != 0) {
    int ttl = header->ttl;
    add_control(message, &used, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  }
  message->msg_controllen = used;
}

static void give_name(struct msghdr *message, const uint8_t *address, uint16_t port) {
  if (message->msg_name == NULL) return;
  struct lvlip_endpoint from = {.family = LVLIP_FAMILY_IPV4, .port = port};
  memcpy(from.address, address, 4);
  socklen_t length = message->msg_namelen;
  lvlip_write_address(&from, message->msg_name, &length);
  message->msg_namelen = length;
}

/* Takes the next message into the program's pieces, a header into *header; its length without that. */
static ssize_t take(int fd, struct msghdr *message, int flags, struct lvlip_datagram *header, bool framed) {
  struct iovec vectors[MAX_PIECES + 1];
  if (message->msg_iovlen > MAX_PIECES) return fail(EMSGSIZE);
  size_t count = 0;
  if (framed) vectors[count++] = (struct iovec){header, HEADER};
  for (size_t i = 0; i < message->msg_iovlen; i++) vectors[count++] = message->msg_iov[i];
  struct msghdr plain = {.msg_iov = vectors, .msg_iovlen = count};
  ssize_t length = real->recvmsg(fd, &plain, (flags & (MSG_PEEK | MSG_TRUNC)) | MSG_DONTWAIT);
  message->msg_flags = plain.msg_flags & MSG_TRUNC;
  if (length < 0 || !framed) return length;
  return length < (ssize_t)HEADER ? fail(EAGAIN) : length - (ssize_t)HEADER;
}

/* The error queue (IP_RECVERR): the message that failed, and what is known of why. */
static ssize_t take_queued_error(int fd, uint64_t tag, struct msghdr *message, int flags) {
  struct lvlip_datagram header;
  ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_DONTWAIT);
  if (!is_header(&header, seen, tag) || (header.flags & LVLIP_DATAGRAM_QUEUED) == 0) return fail(EAGAIN);
  ssize_t length = take(fd, message, flags, &header, true);
  if (length < 0) return -1;
  struct {
    struct sock_extended_err error;
    struct sockaddr_in offender;
  } report = {.error = {.ee_errno = (uint32_t)header.error,
                        .ee_origin = header.reporter[0] == 0 ? SO_EE_ORIGIN_LOCAL : SO_EE_ORIGIN_ICMP,
                        .ee_type = header.icmp_type,
                        .ee_code = header.icmp_code,
                        .ee_info = header.mtu},
              .offender = {.sin_family = AF_INET}};
  memcpy(&report.offender.sin_addr, header.reporter, 4);
  give_name(message, header.address, header.port);
  size_t used = 0;
  add_control(message, &used, IPPROTO_IP, IP_RECVERR, &report, sizeof report);
  message->msg_controllen = used;
  message->msg_flags |= MSG_ERRQUEUE;
  return length;
}

/* The header of a message of a connected socket that came without one. */
static int name_peer(uint64_t tag, struct msghdr *message) {
  if (message->msg_name == NULL) return 0;
  struct lvlip_record record;
  if (lvlip_names(tag, &record) < 0) return -1;
  give_name(message, record.remote.address, record.remote.port);
  return 0;
}

ssize_t lvlip_datagram_receive(int fd, uint64_t tag, struct msghdr *message, int flags) {
  if ((flags & MSG_ERRQUEUE) != 0) return take_queued_error(fd, tag, message, flags);
  for (;;) {
    struct lvlip_datagram header;
    /* Waits, or not, as the descriptor and the flags say; who takes the message is settled below. */
    ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | (flags & MSG_DONTWAIT));
    if (seen < 0) return -1;
    bool framed = is_header(&header, seen, tag);
    if (framed && (header.flags & LVLIP_DATAGRAM_ERROR) != 0) {
      /* One that belongs to the error queue stays there. */
      if ((header.flags & LVLIP_DATAGRAM_QUEUED) == 0) drop_message(fd);
      return fail(header.error);
    }
    ssize_t length = take(fd, message, flags, &header, framed);
    if (length < 0 && errno == EAGAIN) continue;
    if (length < 0) return -1;
    if (framed) {
      /* Another thread took the one that was looked at, and this one is of the other sort: as good as lost. */
      if (header.magic != LVLIP_DATAGRAM_MAGIC) continue;
      give_name(message, header.address, header.port);
      give_control(message, &header);
    } else {
      message->msg_controllen = 0;
      if (name_peer(tag, message) < 0) message->msg_namelen = 0;
    }
    return length;
  }
}

ssize_t lvlip_datagram_send(int fd, uint64_t tag, const struct msghdr *message, int flags) {
  struct lvlip_datagram header = {.magic = LVLIP_DATAGRAM_MAGIC, .id = tag_id(tag)};
  if (message->msg_name != NULL && message->msg_namelen > 0) {
    struct lvlip_endpoint to;
    if (lvlip_read_address(message->msg_name, message->msg_namelen, &to) < 0) return -1;
    if (to.port == 0 && !is_echo(tag)) return fail(EINVAL);
    memcpy(header.address, to.address, 4);
    /* As Linux: this host. */
    if (memcmp(header.address, "\0\0\0\0", 4) == 0) memcpy(header.address, "\177\0\0\1", 4);
    header.port = to.port;
    if (lvlip_is_loopback(&to) && !is_echo(tag) && !is_connected(tag)) {
      int result = lvlip_to_kernel(fd, tag, &to, true);
      if (result != 0) return result < 0 ? -1 : real->sendmsg(fd, message, flags);
    }
  } else if (!is_connected(tag)) {
    return fail(EDESTADDRREQ);
  }
  struct iovec vectors[MAX_PIECES + 1];
  if (message->msg_iovlen > MAX_PIECES) return fail(EMSGSIZE);
  vectors[0] = (struct iovec){&header, HEADER};
  size_t total = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) {
    vectors[i + 1] = message->msg_iov[i];
    total += message->msg_iov[i].iov_len;
  }
  if (total > (is_echo(tag) ? MAX_ICMP : MAX_PAYLOAD)) return fail(EMSGSIZE);
  struct msghdr plain = {.msg_iov = vectors, .msg_iovlen = message->msg_iovlen + 1};
  ssize_t sent = real->sendmsg(fd, &plain, (flags & MSG_DONTWAIT) | MSG_NOSIGNAL);
  if (sent < 0) return errno == EPIPE || errno == ECONNRESET ? fail(ENETDOWN) : -1;
  return sent - (ssize_t)HEADER;
}

ssize_t lvlip_datagram_strip(int fd, void *buffer, ssize_t length) {
  uint64_t tag = lvlip_tag(fd);
  struct lvlip_datagram header;
  if (tag == 0 || !is_datagram(tag)) return length;
  memcpy(&header, buffer, HEADER);
  if (!is_header(&header, length, tag)) return length;
  if ((header.flags & LVLIP_DATAGRAM_ERROR) != 0) return fail(header.error);
  memmove(buffer, (char *)buffer + HEADER, (size_t)length - HEADER);
  return length - (ssize_t)HEADER;
}

int lvlip_take_datagram_error(int fd, uint64_t tag) {
  struct lvlip_datagram header;
  int saved = errno;
  ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_DONTWAIT);
  errno = saved;
  if (!is_header(&header, seen, tag) || (header.flags & LVLIP_DATAGRAM_ERROR) == 0) return 0;
  if ((header.flags & LVLIP_DATAGRAM_QUEUED) == 0) drop_message(fd);
  return header.error;
}

int lvlip_datagram_pending(int fd, uint64_t tag) {
  struct lvlip_datagram header;
  int saved = errno;
  ssize_t length = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  errno = saved;
  if (length <= 0) return 0;
  return (int)(is_header(&header, length, tag) ? length - (ssize_t)HEADER : length);
}
