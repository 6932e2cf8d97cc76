/*
 * The names of a connection do not change, and programs ask for them several times. There is no table to keep them in; but
 * a Unix socket has a name too, which nobody else uses, since it is the daemon that is connected to: once told they are
 * made an abstract name of the program's socket, and so are where the socket is, whoever holds it by whatever descriptor.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* Address and port of both sides, in hexadecimal. */
#define WRITTEN "lvl-ip:%08x:%04x-%08x:%04x"
#define READ "lvl-ip:%8x:%4x-%8x:%4x"

static unsigned address_of(const struct lvlip_endpoint *endpoint) {
  uint32_t address;
  memcpy(&address, endpoint->address, sizeof address);
  return ntohl(address);
}

static void set_endpoint(struct lvlip_endpoint *endpoint, unsigned address, unsigned port) {
  uint32_t bytes = htonl(address);
  memset(endpoint, 0, sizeof *endpoint);
  endpoint->family = LVLIP_FAMILY_IPV4;
  endpoint->port = (uint16_t)port;
  memcpy(endpoint->address, &bytes, sizeof bytes);
}

void lvlip_save_names(int fd, const struct lvlip_record *record) {
  if (record->local.port == 0 || record->remote.port == 0 || lvlip_is_sandboxed()) return;
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, WRITTEN, address_of(&record->local),
                        record->local.port, address_of(&record->remote), record->remote.port);
  int saved = errno;
  /* It may have a name, or another socket has this one, of a connection that was before it: then they are asked for. */
  real->bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length));
  errno = saved;
}

bool lvlip_saved_names(int fd, struct lvlip_record *record) {
  struct sockaddr_un name;
  socklen_t length = sizeof name - 1;
  memset(&name, 0, sizeof name);
  if (real->getsockname(fd, (struct sockaddr *)&name, &length) < 0) return false;
  unsigned local, local_port, remote, remote_port;
  if (name.sun_path[0] != '\0') return false;
  if (sscanf(name.sun_path + 1, READ, &local, &local_port, &remote, &remote_port) != 4) return false;
  set_endpoint(&record->local, local, local_port);
  set_endpoint(&record->remote, remote, remote_port);
  return true;
}
