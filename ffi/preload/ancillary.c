/* Ancillary data of datagrams, cmsg(3): what the program is told with a message, and what it says of one. */
#include "internal.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/time.h>

void lvlip_add_control(struct msghdr *message, size_t *used, int level, int type, const void *data, size_t size) {
  size_t room = message->msg_control == NULL ? 0 : message->msg_controllen - *used;
  if (room < CMSG_LEN(size)) message->msg_flags |= MSG_CTRUNC;
  if (room < sizeof(struct cmsghdr)) return;
  /* As Linux: what has room of it is given. */
  size_t length = room < CMSG_LEN(size) ? room : CMSG_LEN(size);
  struct cmsghdr header = {.cmsg_len = length, .cmsg_level = level, .cmsg_type = type};
  char *to = (char *)message->msg_control + *used;
  memcpy(to, &header, sizeof header);
  memcpy(to + CMSG_LEN(0), data, length - CMSG_LEN(0));
  *used += room < CMSG_SPACE(size) ? room : CMSG_SPACE(size);
}

/* As Linux: where there are none, nothing is said. */
static void give_options(struct msghdr *message, size_t *used, int type, const uint8_t *options, size_t length) {
  if (length > 0) lvlip_add_control(message, used, IPPROTO_IP, type, options, length);
}

size_t lvlip_options_size(const struct lvlip_datagram *header) {
  bool has_options = (header->flags & (LVLIP_DATAGRAM_OPTIONS | LVLIP_DATAGRAM_ECHOED_OPTIONS)) != 0;
  if (!has_options || (header->flags & LVLIP_DATAGRAM_ERROR) != 0) return 0;
  size_t size = (size_t)header->icmp_type + header->icmp_code;
  return size > LVLIP_MAX_OPTIONS ? 0 : size;
}

size_t lvlip_give_control(struct msghdr *message, const struct lvlip_datagram *header, const uint8_t *options) {
  size_t used = 0;
  if ((header->flags & LVLIP_DATAGRAM_TIMESTAMP) != 0) {
    struct timeval time = {.tv_sec = (time_t)(header->timestamp_us / 1000000),
                           .tv_usec = (suseconds_t)(header->timestamp_us % 1000000)};
    lvlip_add_control(message, &used, SOL_SOCKET, SO_TIMESTAMP, &time, sizeof time);
  }
  bool is_merged = (header->flags & LVLIP_DATAGRAM_SEGMENTS) != 0 && header->size > 0;
  if (is_merged && (header->flags & LVLIP_DATAGRAM_ERROR) == 0) {
    int size = (int)header->size;
    lvlip_add_control(message, &used, IPPROTO_UDP, UDP_GRO, &size, sizeof size);
  }
  if ((header->flags & LVLIP_DATAGRAM_PKTINFO) != 0) {
    /* lo, or the first device: which one it was is not told. */
    struct in_pktinfo info = {.ipi_ifindex = header->local_address[0] == 127 ? 1 : 2};
    memcpy(&info.ipi_addr, header->local_address, 4);
    info.ipi_spec_dst = info.ipi_addr;
    lvlip_add_control(message, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  }
  if ((header->flags & LVLIP_DATAGRAM_TTL) != 0) {
    int ttl = header->ttl;
    lvlip_add_control(message, &used, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  }
  if ((header->flags & LVLIP_DATAGRAM_TOS) != 0) {
    lvlip_add_control(message, &used, IPPROTO_IP, IP_TOS, &header->tos, sizeof header->tos);
  }
  if (lvlip_options_size(header) > 0) {
    give_options(message, &used, IP_RECVOPTS, options, header->icmp_type);
    give_options(message, &used, IP_RETOPTS, options + header->icmp_type, header->icmp_code);
  }
  return used;
}

/* An integer from 0 to 255, of IP_TOS also as one byte. */
static int read_byte(const struct cmsghdr *control, uint8_t *result) {
  int value;
  if (control->cmsg_len == CMSG_LEN(sizeof value)) {
    memcpy(&value, CMSG_DATA(control), sizeof value);
  } else if (control->cmsg_type == IP_TOS && control->cmsg_len == CMSG_LEN(1)) {
    value = *CMSG_DATA(control);
  } else {
    return fail(EINVAL);
  }
  if (value < 0 || value > 255) return fail(EINVAL);
  *result = (uint8_t)value;
  return 0;
}

static int read_ip_control(const struct cmsghdr *control, struct lvlip_datagram *header) {
  struct in_pktinfo info;
  switch (control->cmsg_type) {
    case IP_TTL:
      if (read_byte(control, &header->ttl) < 0) return -1;
      return header->ttl > 0 ? 0 : fail(EINVAL);
    case IP_TOS:
      header->flags |= LVLIP_DATAGRAM_TOS;
      return read_byte(control, &header->tos);
    case IP_PKTINFO:
      if (control->cmsg_len != CMSG_LEN(sizeof info)) return fail(EINVAL);
      memcpy(&info, CMSG_DATA(control), sizeof info);
      memcpy(header->local_address, &info.ipi_spec_dst, 4);
      return 0;
    default:
      return fail(EINVAL);
  }
}

static int read_udp_control(const struct cmsghdr *control, struct lvlip_datagram *header) {
  uint16_t size;
  if (control->cmsg_type != UDP_SEGMENT || control->cmsg_len != CMSG_LEN(sizeof size)) return fail(EINVAL);
  memcpy(&size, CMSG_DATA(control), sizeof size);
  header->flags |= LVLIP_DATAGRAM_SEGMENTS;
  header->size = size;
  return 0;
}

int lvlip_read_control(uint64_t tag, const struct msghdr *message, struct lvlip_datagram *header) {
  struct msghdr reader = *message;
  if (message->msg_control == NULL) return 0;
  const char *end = (const char *)message->msg_control + message->msg_controllen;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(&reader); at != NULL; at = CMSG_NXTHDR(&reader, at)) {
    if (at->cmsg_len < sizeof *at || at->cmsg_len > (size_t)(end - (char *)at)) return fail(EINVAL);
    if (at->cmsg_level == SOL_SOCKET) return fail(EINVAL);
    /* As on Linux those of other protocols are nobody's business. */
    if (at->cmsg_level == IPPROTO_IP && read_ip_control(at, header) < 0) return -1;
    if (at->cmsg_level == IPPROTO_UDP && is_udp(tag) && read_udp_control(at, header) < 0) return -1;
  }
  return 0;
}
