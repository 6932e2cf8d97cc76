/* getsockopt(2), setsockopt(2) and ioctl(2): what takes effect is told to the daemon, what does not fails as on Linux. */
#include "internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/time.h>
#include <linux/sockios.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif
#define SO_RCVTIMEO_64 66
#define SO_SNDTIMEO_64 67

/* Those that the kernel heeds on the Unix socket just as it would on its own. */
static bool is_native(uint64_t tag, int level, int name) {
  if (level != SOL_SOCKET) return false;
  switch (name) {
    case SO_SNDBUF:
      /* Of a datagram socket that is where what was sent waits for the daemon. */
      return is_datagram(tag);
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
    case SO_RCVTIMEO_64:
    case SO_SNDTIMEO_64:
    case SO_COOKIE:
      return true;
    default:
      return false;
  }
}

/* What may be forgotten about: it cannot fail, and it may come into effect a moment later. */
static bool needs_no_answer(uint64_t tag, int level, int name) {
  if (level != IPPROTO_TCP || !is_stream_data(tag)) return false;
  return name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK;
}

static bool has_bytes(int level, int name) {
  return (level == IPPROTO_TCP && name == TCP_CONGESTION) || (level == SOL_SOCKET && name == SO_BINDTODEVICE);
}

/* The option's value as one integer. 0 or -1 with errno. */
static int read_value(int level, int name, const void *value, socklen_t length, int32_t *result) {
  if (value == NULL) return fail(EFAULT);
  if (level == SOL_SOCKET && name == SO_LINGER) {
    struct linger linger;
    if (length < (socklen_t)sizeof linger) return fail(EINVAL);
    memcpy(&linger, value, sizeof linger);
    *result = linger.l_onoff ? linger.l_linger : -1;
    return 0;
  }
  if (level == SOL_SOCKET && name == SO_MAX_PACING_RATE && length >= (socklen_t)sizeof(uint64_t)) {
    /* Bytes a second; more than fits is as good as no limit, which is all ones. */
    uint64_t rate;
    memcpy(&rate, value, sizeof rate);
    *result = rate > INT32_MAX ? -1 : (int32_t)rate;
    return 0;
  }
  if (length >= (socklen_t)sizeof *result) {
    memcpy(result, value, sizeof *result);
    return 0;
  }
  /* The options of IP may be given as one byte, and nothing at all is 0. */
  if (level != IPPROTO_IP) return fail(EINVAL);
  *result = length == 0 ? 0 : *(const unsigned char *)value;
  return 0;
}

/* An option that the stack does not have may be set to what it is anyway. */
static int set_unknown(uint64_t tag, const struct lvlip_record *record) {
  int value;
  if (!lvlip_default_option(is_datagram(tag), record->arg[0], record->arg[1], &value)) return fail(ENOPROTOOPT);
  return record->arg[2] == value ? 0 : fail(ENOPROTOOPT);
}

/* A text ends where the program says, or at its first zero. */
static int read_text(const void *value, socklen_t length, uint32_t *result) {
  if (value == NULL) return fail(EFAULT);
  if (length > LVLIP_MAX_NAME) return fail(EINVAL);
  *result = (uint32_t)strnlen(value, length);
  return 0;
}

static int set_text(struct lvlip_record *record, const void *text) {
  uint32_t none = 0;
  char nothing[1];
  return lvlip_call_with(record, text, nothing, &none);
}

/* What lies in the Unix socket counts as sent but not acknowledged too: a small buffer is to be small in all. */
static void shrink_send_buffer(int fd, const struct lvlip_record *option) {
  if (option->arg[0] != SOL_SOCKET || option->arg[1] != SO_SNDBUF) return;
  int32_t value = option->arg[2];
  int size = 0;
  socklen_t length = sizeof size;
  if (real->getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 || value < 0 || value >= size / 2) return;
  real->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value);
}

/* No packet of ours has IP options: only that can be set, and is told. */
static int set_ip_options(socklen_t length) {
  if (length > LVLIP_MAX_IP_OPTIONS) return fail(EINVAL);
  return length == 0 ? 0 : fail(ENOPROTOOPT);
}

static int get_ip_options(socklen_t *length) {
  if (length == NULL) return fail(EFAULT);
  *length = 0;
  return 0;
}

/* Levels of which the stack has options. That of UDP is IPPROTO_UDP. */
static bool is_known_level(uint64_t tag, int level) {
  if (level == IPPROTO_UDP) return is_datagram(tag);
  return level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP || level == SOL_RAW;
}

/* Where no answer needs to be waited for; false if one does. */
static bool set_at_once(int fd, uint64_t tag, const struct lvlip_record *record, const char *text) {
  if (needs_no_answer(tag, record->arg[0], record->arg[1])) {
    lvlip_tell(record);
    return true;
  }
  if (!lvlip_set_early(fd, tag, record, text)) return false;
  shrink_send_buffer(fd, record);
  return true;
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0 || is_native(tag, level, name)) return real->setsockopt(fd, level, name, value, length);
  if (!is_known_level(tag, level)) return fail(ENOPROTOOPT);
  if (level == IPPROTO_TCP && is_datagram(tag)) return fail(ENOPROTOOPT);
  if (level == IPPROTO_IP && name == IP_OPTIONS) return set_ip_options(length);
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SET_OPTION, 0);
  record.arg[0] = level;
  record.arg[1] = name;
  bool is_text = has_bytes(level, name);
  int unread = is_text ? read_text(value, length, &record.length) : read_value(level, name, value, length, &record.arg[2]);
  if (unread < 0) return -1;
  if (level == SOL_SOCKET && name == SO_OOBINLINE) {
    /* Urgent data is always in line (RFC 6093). */
    return record.arg[2] != 0 ? 0 : fail(ENOPROTOOPT);
  }
  if (level == IPPROTO_IP && name == IP_RECVERR && record.arg[2] != 0) lvlip_want_errors();
  tag = lvlip_attach(fd, tag);
  if (tag == 0) return -1;
  record.id = tag_id(tag);
  if (set_at_once(fd, tag, &record, is_text ? value : NULL)) return 0;
  if (is_text) return set_text(&record, value);
  struct lvlip_record request = record;
  if (lvlip_call(&record) == 0) {
    shrink_send_buffer(fd, &request);
    if (level == IPPROTO_UDP && name == UDP_SEGMENT) lvlip_note_segment_option(tag, request.arg[2]);
    return 0;
  }
  if (errno == ENOPROTOOPT) return set_unknown(tag, &request);
  /* The connection is over: there is nothing left that the option could change. */
  return errno == ENOENT ? 0 : -1;
}

static int give(const void *from, size_t size, void *value, socklen_t *length) {
  if (value == NULL || length == NULL) return fail(EFAULT);
  if (*length > size) *length = (socklen_t)size;
  memcpy(value, from, *length);
  return 0;
}

static int give_int(int number, void *value, socklen_t *length) { return give(&number, sizeof number, value, length); }

/* What can be said without asking the daemon; false if it is to be asked. */
static bool get_local(int fd, uint64_t tag, int name, int *result) {
  bool datagram = is_datagram(tag);
  bool icmp = is_echo(tag);
  switch (name) {
    case SO_TYPE:
      *result = is_raw(tag) ? SOCK_RAW : datagram ? SOCK_DGRAM : SOCK_STREAM;
      return true;
    case SO_DOMAIN:
      *result = AF_INET;
      return true;
    case SO_PROTOCOL:
      if (is_raw(tag)) return false;
      *result = icmp ? IPPROTO_ICMP : datagram ? IPPROTO_UDP : IPPROTO_TCP;
      return true;
    case SO_ACCEPTCONN:
      *result = tag_state(tag) == LVLIP_STATE_LISTENING;
      return true;
    case SO_OOBINLINE:
      *result = 1;
      return true;
    case SO_ERROR:
      *result = datagram ? lvlip_take_datagram_error(fd, tag) : lvlip_take_stream_error(fd, tag);
      return true;
    default:
      return false;
  }
}

static int ask_option(uint64_t tag, int level, int name, void *value, socklen_t *length) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_GET_OPTION, tag_id(tag));
  record.arg[0] = level;
  record.arg[1] = name;
  char bytes[LVLIP_MAX_VALUE];
  uint32_t room = sizeof bytes;
  if (lvlip_call_with(&record, NULL, bytes, &room) < 0) {
    int number;
    if (errno == ENOPROTOOPT && lvlip_default_option(is_datagram(tag), level, name, &number)) {
      return give_int(number, value, length);
    }
    return errno == ENOENT && level != IPPROTO_TCP ? give_int(0, value, length) : fail(errno == ENOENT ? EINVAL : errno);
  }
  if (room > 0 || has_bytes(level, name)) return give(bytes, room, value, length);
  if (level == SOL_SOCKET && name == SO_LINGER) {
    struct linger linger = {record.arg[2] >= 0, record.arg[2] >= 0 ? record.arg[2] : 0};
    return give(&linger, sizeof linger, value, length);
  }
  if (level == SOL_SOCKET && name == SO_MAX_PACING_RATE && length != NULL && *length >= sizeof(uint64_t)) {
    uint64_t rate = record.arg[2] < 0 ? ~0ull : (uint64_t)record.arg[2];
    return give(&rate, sizeof rate, value, length);
  }
  return give_int(record.arg[2], value, length);
}

EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0 || is_native(tag, level, name)) return real->getsockopt(fd, level, name, value, length);
  if (level == SOL_SOCKET) {
    int result;
    if (get_local(fd, tag, name, &result)) return give_int(result, value, length);
    if (name == SO_PEERCRED) return give(&(struct ucred){0, (uid_t)-1, (gid_t)-1}, sizeof(struct ucred), value, length);
  } else if (!is_known_level(tag, level)) {
    return fail(EOPNOTSUPP);
  } else if (level == IPPROTO_TCP && is_datagram(tag)) {
    return fail(EOPNOTSUPP);
  } else if (level == IPPROTO_IP && name == IP_OPTIONS) {
    return get_ip_options(length);
  }
  tag = lvlip_attach(fd, tag);
  return tag == 0 ? -1 : ask_option(tag, level, name, value, length);
}

static int unsent_bytes(int fd, uint64_t tag, int *result) {
  struct lvlip_record record;
  int queued = 0;
  if (real->ioctl(fd, SIOCOUTQ, &queued) < 0) queued = 0;
  *result = queued;
  if (lvlip_names(tag, &record) == 0) *result += record.arg[2];
  return 0;
}

static int socket_ioctl(int fd, uint64_t tag, unsigned long request, void *argument) {
  switch (request) {
    case SIOCOUTQ:
      return unsent_bytes(fd, tag, argument);
    case SIOCINQ:
      if (is_datagram(tag)) {
        *(int *)argument = lvlip_datagram_pending(fd, tag);
        return 0;
      }
      return tag_state(tag) == LVLIP_STATE_LISTENING ? fail(EINVAL) : real->ioctl(fd, request, argument);
    case SIOCATMARK:
      /* Urgent data is in line: every place is as good as the mark. */
      *(int *)argument = 0;
      return 0;
    default:
      return real->ioctl(fd, request, argument);
  }
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  bool is_about_interface = lvlip_is_interface_request(request);
  if (request != SIOCOUTQ && request != SIOCINQ && request != SIOCATMARK && !is_about_interface) {
    return real->ioctl(fd, request, argument);
  }
  uint64_t tag = lvlip_tag(fd);
  if (tag != 0 && is_about_interface) return lvlip_interface_ioctl(request, argument);
  return tag == 0 ? real->ioctl(fd, request, argument) : socket_ioctl(fd, tag, request, argument);
}
