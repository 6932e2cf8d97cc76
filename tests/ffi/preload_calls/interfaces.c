/* What a program is told of the host's interfaces: by ioctl, and by the C library. */
#include "calls.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>

static struct ifreq ask(int fd, unsigned long request, const char *name) {
  struct ifreq entry = {0};
  strncpy(entry.ifr_name, name, IFNAMSIZ - 1);
  CHECK(ioctl(fd, request, &entry) == 0);
  return entry;
}

static struct in_addr internet(const struct sockaddr *address) {
  CHECK(address->sa_family == AF_INET);
  return ((const struct sockaddr_in *)address)->sin_addr;
}

/* The name of the interface that has our own address. */
static void find_own(int fd, char *name) {
  struct ifreq entries[16];
  struct ifconf list = {.ifc_len = 0};
  CHECK(ioctl(fd, SIOCGIFCONF, &list) == 0 && list.ifc_len >= (int)sizeof *entries);
  list = (struct ifconf){.ifc_len = sizeof entries, .ifc_req = entries};
  CHECK(ioctl(fd, SIOCGIFCONF, &list) == 0);
  for (int i = 0; i < list.ifc_len / (int)sizeof *entries; i++) {
    if (internet(&entries[i].ifr_addr).s_addr == own.s_addr) {
      memcpy(name, entries[i].ifr_name, IFNAMSIZ);
      return;
    }
  }
  CHECK(!"our address is listed");
}

static void check_addresses(const char *name) {
  struct ifaddrs *list;
  bool has_link = false, has_address = false;
  CHECK(getifaddrs(&list) == 0);
  for (struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
    if (strcmp(at->ifa_name, name) != 0 || at->ifa_addr == NULL) continue;
    CHECK((at->ifa_flags & IFF_UP) != 0);
    if (at->ifa_addr->sa_family == AF_PACKET) has_link = true;
    if (at->ifa_addr->sa_family != AF_INET || internet(at->ifa_addr).s_addr != own.s_addr) continue;
    has_address = true;
    CHECK(ntohl(internet(at->ifa_netmask).s_addr) >> 24 == 255);
  }
  CHECK(has_link && has_address);
  freeifaddrs(list);
}

void test_interfaces(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  char name[IFNAMSIZ], found[IFNAMSIZ];
  find_own(fd, name);
  struct ifreq entry = ask(fd, SIOCGIFINDEX, name);
  int index = entry.ifr_ifindex;
  CHECK(index > 0 && if_nametoindex(name) == (unsigned)index);
  CHECK(if_indextoname((unsigned)index, found) == found && strcmp(found, name) == 0);
  entry = (struct ifreq){.ifr_ifindex = index};
  CHECK(ioctl(fd, SIOCGIFNAME, &entry) == 0 && strcmp(entry.ifr_name, name) == 0);
  entry = ask(fd, SIOCGIFADDR, name);
  CHECK(internet(&entry.ifr_addr).s_addr == own.s_addr);
  entry = ask(fd, SIOCGIFNETMASK, name);
  CHECK(ntohl(internet(&entry.ifr_addr).s_addr) >> 24 == 255);
  CHECK((ask(fd, SIOCGIFFLAGS, name).ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING));
  CHECK(ask(fd, SIOCGIFMTU, name).ifr_mtu >= 576);
  if (on_stack) {
    entry = ask(fd, SIOCGIFBRDADDR, name);
    CHECK((internet(&entry.ifr_addr).s_addr & own.s_addr) == own.s_addr);
    entry = ask(fd, SIOCGIFHWADDR, name);
    CHECK(entry.ifr_hwaddr.sa_family == 1 && memcmp(entry.ifr_hwaddr.sa_data, "\0\0\0\0\0\0", 6) != 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) == 0);
    socklen_t length = sizeof found;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, found, &length) == 0 && strcmp(found, name) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0) == 0);
  }
  CHECK_ERRNO(ENODEV, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nonesuch", 8));
  CHECK((ask(fd, SIOCGIFFLAGS, "lo").ifr_flags & IFF_LOOPBACK) != 0 && if_nametoindex("lo") == 1);
  strcpy(entry.ifr_name, "nonesuch");
  CHECK_ERRNO(ENODEV, ioctl(fd, SIOCGIFMTU, &entry));
  CHECK(if_nametoindex("nonesuch") == 0 && errno == ENODEV);
  CHECK(if_indextoname(4711, found) == NULL && errno == ENXIO);
  struct if_nameindex *list = if_nameindex();
  CHECK(list != NULL && list[0].if_index == 1 && strcmp(list[0].if_name, "lo") == 0);
  if_freenameindex(list);
  check_addresses(name);
  close(fd);
}
