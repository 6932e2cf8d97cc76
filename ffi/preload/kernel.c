/*
 * 127.0.0.0/8: where a socket of the stack is, it answers; everything else there is the kernel's, such as a name server on
 * 127.0.0.53 or a database of this machine. A socket that is to go there becomes one of the kernel's in its place, bound
 * to 127.0.0.1, so that it cannot reach anything else.
 */
#include "internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define LOOPBACK_NET 127

bool lvlip_is_loopback(const struct lvlip_endpoint *endpoint) { return endpoint->address[0] == LOOPBACK_NET; }

/* Whether a socket of the stack takes what is sent there; -1 with errno. */
static int is_served(uint64_t tag, const struct lvlip_endpoint *remote) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SERVES, 0);
  record.arg[0] = is_datagram(tag) ? LVLIP_KIND_DATAGRAM : LVLIP_KIND_STREAM;
  record.remote = *remote;
  return lvlip_call(&record) < 0 ? -1 : record.arg[0];
}

int lvlip_read_settings(uint64_t tag, struct lvlip_settings *settings) {
  memset(settings, 0, sizeof *settings);
  if (tag_id(tag) == 0) return 0;
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_SETTINGS, tag_id(tag));
  uint32_t length = sizeof settings->bytes;
  if (lvlip_call_with(&record, NULL, settings->bytes, &length) < 0) return errno == ENOENT ? 0 : -1;
  settings->count = (uint32_t)record.arg[0];
  settings->length = length;
  settings->local = record.local;
  settings->is_port_chosen = record.arg[1] != 0;
  if (settings->count * sizeof(struct lvlip_option) > length) return fail(EPROTO);
  return 0;
}

void lvlip_apply_settings(int fd, const struct lvlip_settings *settings, set_option *set) {
  for (uint32_t i = 0; i < settings->count; i++) {
    struct lvlip_option option;
    memcpy(&option, settings->bytes + i * sizeof option, sizeof option);
    struct linger linger = {option.value >= 0, option.value >= 0 ? option.value : 0};
    bool is_linger = option.level == SOL_SOCKET && option.name == SO_LINGER;
    /* The stack's interfaces are not the kernel's. */
    if (option.level == SOL_SOCKET && option.name == SO_BINDTOIFINDEX && set == real->setsockopt) continue;
    /* What one of the two does not know took effect on the other only. */
    if (is_linger) set(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    else set(fd, option.level, option.name, &option.value, sizeof option.value);
  }
  uint32_t named = settings->count * (uint32_t)sizeof(struct lvlip_option);
  if (settings->length > named) {
    set(fd, IPPROTO_TCP, TCP_CONGESTION, settings->bytes + named, settings->length - named);
  }
}

/* Bound where nothing but this machine can be reached from. */
static int bind_to_loopback(int fd, const struct lvlip_endpoint *local) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (local->family == LVLIP_FAMILY_IPV4) {
    name.sin_port = htons(local->port);
    if (lvlip_is_loopback(local)) memcpy(&name.sin_addr, local->address, 4);
    if (real->bind(fd, (struct sockaddr *)&name, sizeof name) == 0) return 0;
    /* The kernel has given that port to somebody else. */
    if (errno != EADDRINUSE) return -1;
    name.sin_port = 0;
  }
  int later = 1;
  real->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &later, sizeof later);
  return real->bind(fd, (struct sockaddr *)&name, sizeof name);
}

int lvlip_to_kernel(int fd, uint64_t tag, const struct lvlip_endpoint *remote, bool unless_bound) {
  int served = is_served(tag, remote);
  if (served != 0) return served < 0 ? -1 : 0;
  struct lvlip_settings settings;
  if (lvlip_read_settings(tag, &settings) < 0) return -1;
  if (unless_bound && settings.local.family == LVLIP_FAMILY_IPV4) return 0;
  int fresh = real->socket(AF_INET, (is_datagram(tag) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  if (fresh < 0) return -1;
  lvlip_apply_settings(fresh, &settings, real->setsockopt);
  if (bind_to_loopback(fresh, &settings.local) < 0) {
    int saved = errno;
    close(fresh);
    return fail(saved);
  }
  return lvlip_replace(fd, fresh) < 0 ? -1 : 1;
}

/* A socket of ours that became the kernel's, is not connected, and is not to go to 127.0.0.0/8 now. */
static bool is_on_loopback(int fd) {
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  if (real->getsockname(fd, (struct sockaddr *)&name, &length) < 0 || name.sin_family != AF_INET) return false;
  if (ntohl(name.sin_addr.s_addr) >> 24 != LOOPBACK_NET) return false;
  length = sizeof name;
  return real->getpeername(fd, (struct sockaddr *)&name, &length) < 0;
}

int lvlip_from_kernel(int fd, const struct sockaddr *address, socklen_t length) {
  struct lvlip_endpoint remote;
  if (address == NULL || length < (socklen_t)sizeof(struct sockaddr_in) || address->sa_family != AF_INET) return 0;
  if (lvlip_read_address(address, length, &remote) < 0 || lvlip_is_loopback(&remote) || !is_on_loopback(fd)) return 0;
  int type;
  socklen_t size = sizeof type;
  if (real->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) return 0;
  int fresh = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fresh < 0) return -1;
  return lvlip_replace(fd, fresh) < 0 ? -1 : 1;
}
