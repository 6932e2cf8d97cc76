/*
 * UDP, and echo sockets. A SOCK_SEQPACKET connection to the daemon keeps the bounds of messages. Ours always carry a
 * header in front, and so do those that come to an unconnected socket; a connected one gets the bare message, so that
 * plain read and write do. The header names the socket's id, which nobody outside knows: no message can feign one.
 */
#include "internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <linux/errqueue.h>

#define HEADER sizeof(struct lvlip_datagram)
/* Pieces of one message that are taken: as many as the kernel takes with ours. */
#define MAX_PIECES (UIO_MAXIOV - 2)
#define MAX_PAYLOAD 65507u
/* Of an echo socket, whose messages bring their ICMP header along. */
#define MAX_ICMP 65515u
/* Of a raw one, which may bring the IP header too. */
#define MAX_RAW 65535u

static bool is_connected(uint64_t tag) {
  switch (tag_state(tag)) {
    case LVLIP_STATE_DATAGRAM_CONNECTED:
    case LVLIP_STATE_ICMP_CONNECTED:
    case LVLIP_STATE_RAW_CONNECTED:
      return true;
    default:
      return false;
  }
}

/* What a socket becomes when it gets, or loses, its only peer: the states go in pairs. */
static enum lvlip_state with_peer(uint64_t tag, bool connected) {
  enum lvlip_state alone = is_connected(tag) ? tag_state(tag) - 1 : tag_state(tag);
  return connected ? alone + 1 : alone;
}

/* This process has had such a socket: read(2) looks for them from then on. */
static atomic_bool has_datagrams;

bool lvlip_has_datagrams(void) { return atomic_load_explicit(&has_datagrams, memory_order_relaxed); }

void lvlip_note_datagram(void) { atomic_store_explicit(&has_datagrams, true, memory_order_relaxed); }

int lvlip_datagram_socket(int kind, int protocol, int flags) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SOCKET, 0);
  record.arg[0] = kind;
  record.arg[1] = protocol;
  int fd;
  int result = lvlip_call_for_descriptor(&record, &fd);
  if (result < 0) {
    int saved = errno;
    if (fd >= 0) close(fd);
    return fail(saved);
  }
  if (fd < 0) return fail(EMFILE);
  lvlip_note_datagram();
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
  if (!dissolve && lvlip_is_loopback(&record.remote) && is_udp(tag)) {
    int result = lvlip_to_kernel(fd, tag, &record.remote, false);
    if (result != 0) return result < 0 ? -1 : real->connect(fd, address, length);
  }
  if (lvlip_call(&record) < 0) return -1;
  return lvlip_set_tag(fd, with_peer(tag, !dissolve), tag_id(tag));
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

static void give_name(struct msghdr *message, const uint8_t *address, uint16_t port) {
  if (message->msg_name == NULL) return;
  struct lvlip_endpoint from = {.family = LVLIP_FAMILY_IPV4, .port = port};
  memcpy(from.address, address, 4);
  socklen_t length = message->msg_namelen;
  lvlip_write_address(&from, message->msg_name, &length);
  message->msg_namelen = length;
}

/*
 * Takes the next message into the program's pieces, a header into *header and the options behind that into `options`; its
 * length without them. What *header says of the options is what the message was seen to have.
 */
static ssize_t take(int fd, struct msghdr *message, int flags, struct lvlip_datagram *header, uint8_t *options,
                    bool framed) {
  size_t seen = framed ? lvlip_options_size(header) : 0;
  if (message->msg_iovlen > MAX_PIECES) return fail(EMSGSIZE);
  /* No more than there are: stacks may be small. */
  struct iovec vectors[message->msg_iovlen + 2];
  size_t count = 0;
  if (framed) vectors[count++] = (struct iovec){header, HEADER};
  if (seen > 0) vectors[count++] = (struct iovec){options, seen};
  for (size_t i = 0; i < message->msg_iovlen; i++) vectors[count++] = message->msg_iov[i];
  struct msghdr plain = {.msg_iov = vectors, .msg_iovlen = count};
  ssize_t length = real->recvmsg(fd, &plain, (flags & (MSG_PEEK | MSG_TRUNC)) | MSG_DONTWAIT);
  message->msg_flags = plain.msg_flags & MSG_TRUNC;
  if (length < 0 || !framed) return length;
  if (length < (ssize_t)(HEADER + seen)) return fail(EAGAIN);
  return length - (ssize_t)(HEADER + seen);
}

/* The error queue (IP_RECVERR): the message that failed, and what is known of why. */
static ssize_t take_queued_error(int fd, uint64_t tag, struct msghdr *message, int flags) {
  struct lvlip_datagram header;
  ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_DONTWAIT);
  if (!is_header(&header, seen, tag) || (header.flags & LVLIP_DATAGRAM_QUEUED) == 0) return fail(EAGAIN);
  ssize_t length = take(fd, message, flags, &header, NULL, true);
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
  size_t used = lvlip_give_control(message, &header, NULL);
  lvlip_add_control(message, &used, IPPROTO_IP, IP_RECVERR, &report, sizeof report);
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

/*
 * Whether this error of the queue was told before, by a call that did not ask for the queue. It stays for one that does;
 * who reads on without asking gets the messages behind it.
 */
static bool was_told(const struct lvlip_datagram *header) {
  static _Thread_local uint64_t id, timestamp_us;
  if (id == header->id && timestamp_us == header->timestamp_us) return true;
  id = header->id;
  timestamp_us = header->timestamp_us;
  return false;
}

ssize_t lvlip_empty_datagram(int fd, uint64_t tag) {
  struct pollfd entry = {.fd = fd, .events = POLLIN};
  struct lvlip_record record;
  if (real->poll(&entry, 1, 0) <= 0 || (entry.revents & POLLHUP) == 0) return 0;
  /* Shut down by the program itself, or left alone. */
  return lvlip_names(tag, &record) == 0 ? 0 : fail(ENETDOWN);
}

ssize_t lvlip_datagram_receive(int fd, uint64_t tag, struct msghdr *message, int flags) {
  if ((flags & MSG_ERRQUEUE) != 0) return take_queued_error(fd, tag, message, flags);
  for (;;) {
    struct lvlip_datagram header;
    /* Waits, or not, as the descriptor and the flags say; who takes the message is settled below. */
    ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | (flags & MSG_DONTWAIT));
    if (seen < 0) return -1;
    if (seen == 0 && lvlip_empty_datagram(fd, tag) < 0) return -1;
    bool framed = is_header(&header, seen, tag);
    if (framed && (header.flags & LVLIP_DATAGRAM_ERROR) != 0) {
      bool queued = (header.flags & LVLIP_DATAGRAM_QUEUED) != 0;
      bool again = queued && was_told(&header);
      if (!queued || again) drop_message(fd);
      if (again) continue;
      return fail(header.error);
    }
    uint8_t options[LVLIP_MAX_OPTIONS];
    size_t expected = framed ? lvlip_options_size(&header) : 0;
    ssize_t length = take(fd, message, flags, &header, options, framed);
    if (length < 0 && errno == EAGAIN) continue;
    if (length < 0) return -1;
    if (framed) {
      /* Another thread took the one that was looked at, and this one is of the other sort: as good as lost. */
      if (header.magic != LVLIP_DATAGRAM_MAGIC || lvlip_options_size(&header) != expected) continue;
      give_name(message, header.address, header.port);
      message->msg_controllen = lvlip_give_control(message, &header, options);
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
    if (to.port == 0 && is_udp(tag)) return fail(EINVAL);
    memcpy(header.address, to.address, 4);
    /* As Linux: this host. */
    if (memcmp(header.address, "\0\0\0\0", 4) == 0) memcpy(header.address, "\177\0\0\1", 4);
    header.port = to.port;
    if (lvlip_is_loopback(&to) && is_udp(tag) && !is_connected(tag)) {
      int result = lvlip_to_kernel(fd, tag, &to, true);
      if (result != 0) return result < 0 ? -1 : real->sendmsg(fd, message, flags);
    }
  } else if (!is_connected(tag)) {
    return fail(EDESTADDRREQ);
  }
  if (lvlip_read_control(tag, message, &header) < 0) return -1;
  if (message->msg_iovlen > MAX_PIECES) return fail(EMSGSIZE);
  struct iovec vectors[message->msg_iovlen + 1];
  vectors[0] = (struct iovec){&header, HEADER};
  size_t total = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) {
    vectors[i + 1] = message->msg_iov[i];
    total += message->msg_iov[i].iov_len;
  }
  if (total > (is_udp(tag) ? MAX_PAYLOAD : is_raw(tag) ? MAX_RAW : MAX_ICMP)) return fail(EMSGSIZE);
  if (is_udp(tag) && lvlip_check_segments(tag, &header, total) < 0) return -1;
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
  size_t front = HEADER + lvlip_options_size(&header);
  if (length < (ssize_t)front) return 0;
  memmove(buffer, (char *)buffer + front, (size_t)length - front);
  return length - (ssize_t)front;
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

bool lvlip_has_queued_error(int fd, uint64_t tag) {
  struct lvlip_datagram header;
  int saved = errno;
  ssize_t seen = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_DONTWAIT);
  errno = saved;
  return is_header(&header, seen, tag) && (header.flags & LVLIP_DATAGRAM_QUEUED) != 0;
}

int lvlip_datagram_pending(int fd, uint64_t tag) {
  struct lvlip_datagram header;
  int saved = errno;
  ssize_t length = real->recv(fd, &header, HEADER, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  errno = saved;
  if (length <= 0) return 0;
  if (!is_header(&header, length, tag)) return (int)length;
  return (int)(length - (ssize_t)(HEADER + lvlip_options_size(&header)));
}
