/* Addresses of sockets: a program never sees a Unix address. */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

int lvlip_read_address(const struct sockaddr *address, socklen_t length, struct lvlip_endpoint *endpoint) {
  if (address == NULL) return fail(EFAULT);
  if (length < (socklen_t)sizeof(sa_family_t)) return fail(EINVAL);
  struct sockaddr_in internet;
  if (address->sa_family != AF_INET) {
    /* bind(2) of an AF_INET socket lets AF_UNSPEC pass with any address, as old programs have it. */
    if (address->sa_family != AF_UNSPEC || length < (socklen_t)sizeof internet) return fail(EAFNOSUPPORT);
  }
  if (length < (socklen_t)sizeof internet) return fail(EINVAL);
  memcpy(&internet, address, sizeof internet);
  if (internet.sin_family == AF_UNSPEC && internet.sin_addr.s_addr != 0) return fail(EAFNOSUPPORT);
  memset(endpoint, 0, sizeof *endpoint);
  endpoint->family = LVLIP_FAMILY_IPV4;
  endpoint->port = ntohs(internet.sin_port);
  memcpy(endpoint->address, &internet.sin_addr, 4);
  return 0;
}

void lvlip_write_address(const struct lvlip_endpoint *endpoint, struct sockaddr *address, socklen_t *length) {
  if (address == NULL || length == NULL) return;
  struct sockaddr_in internet = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
  memcpy(&internet.sin_addr, endpoint->address, 4);
  memcpy(address, &internet, *length < sizeof internet ? *length : sizeof internet);
  *length = sizeof internet;
}

int lvlip_names(uint64_t tag, struct lvlip_record *record) {
  lvlip_record_init(record, LVLIP_OP_NAMES, tag_id(tag));
  if (tag_state(tag) == LVLIP_STATE_FRESH) return 0;
  if (lvlip_call(record) == 0) return 0;
  /* The connection is over and its names are forgotten. */
  if (errno == ENOENT || errno == ENETDOWN) return fail(ENOTCONN);
  return -1;
}

/* The same of a stream, whose names stay what they are. */
static int stream_names(int fd, uint64_t tag, struct lvlip_record *record) {
  bool is_connected = tag_state(tag) == LVLIP_STATE_STREAM || lvlip_connect_state(fd) > 0;
  if (is_connected && lvlip_saved_names(fd, record)) return 0;
  if (lvlip_names(tag, record) < 0) return -1;
  if (is_connected) lvlip_save_names(fd, record);
  return 0;
}

static int names_of(int fd, uint64_t tag, struct lvlip_record *record) {
  return is_stream_data(tag) ? stream_names(fd, tag, record) : lvlip_names(tag, record);
}

EXPORT int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->getsockname(fd, address, length);
  struct lvlip_record record;
  if (names_of(fd, tag, &record) < 0 && errno != ENOTCONN) return -1;
  lvlip_write_address(&record.local, address, length);
  return 0;
}

EXPORT int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  uint64_t tag = lvlip_tag(fd);
  if (tag == 0) return real->getpeername(fd, address, length);
  bool is_over = false;
  switch (tag_state(tag)) {
    case LVLIP_STATE_CONNECTING:
      if (lvlip_connect_state(fd) <= 0) return fail(ENOTCONN);
      break;
    case LVLIP_STATE_STREAM:
      /* The daemon has closed its end, or both sides have ended: it knows whether the connection is over. */
      if (lvlip_connect_state(fd) < 0) is_over = true;
      break;
    case LVLIP_STATE_DATAGRAM_CONNECTED:
    case LVLIP_STATE_ICMP_CONNECTED:
    case LVLIP_STATE_RAW_CONNECTED:
      break;
    default:
      return fail(ENOTCONN);
  }
  struct lvlip_record record;
  if ((is_over ? lvlip_names(tag, &record) : names_of(fd, tag, &record)) < 0) return -1;
  lvlip_write_address(&record.remote, address, length);
  return 0;
}
