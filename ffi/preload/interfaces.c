/*
 * The interfaces of the host that the stack is: loopback and its devices. The kernel's, which programs would get from it
 * by ioctl or netlink, are another host's.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 100
#define LOOPBACK_INDEX 1

struct table {
  struct lvlip_interface rows[MAX_ROWS];
  uint32_t count;
};

static int read_table(struct table *table) {
  struct lvlip_record record;
  lvlip_record_init(&record, LVLIP_OP_INTERFACES, 0);
  uint32_t length = sizeof table->rows;
  if (lvlip_call_with(&record, NULL, table->rows, &length) < 0) return -1;
  table->count = length / (uint32_t)sizeof *table->rows;
  return 0;
}

static bool has_address(const struct lvlip_interface *row) { return memcmp(row->address, "\0\0\0\0", 4) != 0; }

static short flags_of(const struct lvlip_interface *row) {
  return IFF_UP | IFF_RUNNING | (row->index == LOOPBACK_INDEX ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
}

static uint32_t mask_of(const struct lvlip_interface *row) {
  return htonl(row->prefix_length == 0 ? 0 : ~0u << (32 - row->prefix_length));
}

static uint32_t address_of(const struct lvlip_interface *row) {
  uint32_t address;
  memcpy(&address, row->address, sizeof address);
  return address;
}

static void put_address(struct sockaddr *to, uint32_t address) {
  struct sockaddr_in internet = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  memcpy(to, &internet, sizeof internet);
}

/* ---- ioctl ---- */

bool lvlip_is_interface_request(unsigned long request) {
  switch (request) {
    case SIOCGIFCONF:
    case SIOCGIFNAME:
    case SIOCGIFINDEX:
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
    case SIOCGIFFLAGS:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFMETRIC:
    case SIOCGIFTXQLEN:
      return true;
    default:
      return false;
  }
}

static int list_addresses(const struct table *table, struct ifconf *configuration) {
  int used = 0;
  for (uint32_t i = 0; i < table->count; i++) {
    const struct lvlip_interface *row = &table->rows[i];
    if (!has_address(row)) continue;
    struct ifreq entry = {0};
    memcpy(entry.ifr_name, row->name, sizeof entry.ifr_name);
    put_address(&entry.ifr_addr, address_of(row));
    /* Without room the length alone is asked for. */
    if (configuration->ifc_buf != NULL) {
      if (used + (int)sizeof entry > configuration->ifc_len) break;
      memcpy(configuration->ifc_buf + used, &entry, sizeof entry);
    }
    used += (int)sizeof entry;
  }
  configuration->ifc_len = used;
  return 0;
}

static int give_hardware_address(const struct lvlip_interface *row, struct sockaddr *to) {
  memset(to, 0, sizeof *to);
  to->sa_family = row->index == LOOPBACK_INDEX ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
  memcpy(to->sa_data, row->mac, sizeof row->mac);
  return 0;
}

static int describe(const struct lvlip_interface *row, unsigned long request, struct ifreq *entry) {
  switch (request) {
    case SIOCGIFNAME:
      memcpy(entry->ifr_name, row->name, sizeof entry->ifr_name);
      return 0;
    case SIOCGIFINDEX:
      entry->ifr_ifindex = (int)row->index;
      return 0;
    case SIOCGIFFLAGS:
      entry->ifr_flags = flags_of(row);
      return 0;
    case SIOCGIFMTU:
      entry->ifr_mtu = (int)row->mtu;
      return 0;
    case SIOCGIFMETRIC:
      entry->ifr_metric = 0;
      return 0;
    case SIOCGIFTXQLEN:
      entry->ifr_qlen = 1000;
      return 0;
    case SIOCGIFHWADDR:
      return give_hardware_address(row, &entry->ifr_hwaddr);
    default:
      if (!has_address(row)) return fail(EADDRNOTAVAIL);
  }
  uint32_t address = address_of(row);
  if (request == SIOCGIFNETMASK) address = mask_of(row);
  /* As Linux has it: no broadcasts on lo. */
  if (request == SIOCGIFBRDADDR) address = row->index == LOOPBACK_INDEX ? 0 : address | ~mask_of(row);
  put_address(&entry->ifr_addr, address);
  return 0;
}

int lvlip_interface_ioctl(unsigned long request, void *argument) {
  struct table table;
  if (argument == NULL) return fail(EFAULT);
  if (read_table(&table) < 0) return -1;
  if (request == SIOCGIFCONF) return list_addresses(&table, argument);
  struct ifreq *entry = argument;
  for (uint32_t i = 0; i < table.count; i++) {
    bool is_meant = request == SIOCGIFNAME ? (int)table.rows[i].index == entry->ifr_ifindex
                                           : strncmp(table.rows[i].name, entry->ifr_name, IFNAMSIZ) == 0;
    if (is_meant) return describe(&table.rows[i], request, entry);
  }
  return fail(ENODEV);
}

/* ---- the C library's calls, which would ask the kernel by netlink ---- */

EXPORT unsigned if_nametoindex(const char *name) {
  struct table table;
  if (read_table(&table) < 0) return 0;
  for (uint32_t i = 0; i < table.count; i++) {
    if (strncmp(table.rows[i].name, name, IFNAMSIZ) == 0) return table.rows[i].index;
  }
  errno = ENODEV;
  return 0;
}

EXPORT char *if_indextoname(unsigned index, char name[IFNAMSIZ]) {
  struct table table;
  if (read_table(&table) < 0) return NULL;
  for (uint32_t i = 0; i < table.count; i++) {
    if (table.rows[i].index == index) return memcpy(name, table.rows[i].name, IFNAMSIZ);
  }
  errno = ENXIO;
  return NULL;
}

/* Whether this row is the first one of its interface. */
static bool is_first(const struct table *table, uint32_t at) {
  return at == 0 || table->rows[at - 1].index != table->rows[at].index;
}

/* Freed by the C library's if_freenameindex: each name, then the list. */
EXPORT struct if_nameindex *if_nameindex(void) {
  struct table table;
  if (read_table(&table) < 0) return NULL;
  struct if_nameindex *list = calloc(table.count + 1, sizeof *list);
  if (list == NULL) return NULL;
  uint32_t used = 0;
  for (uint32_t i = 0; i < table.count; i++) {
    if (!is_first(&table, i)) continue;
    list[used] = (struct if_nameindex){table.rows[i].index, strdup(table.rows[i].name)};
    if (list[used++].if_name == NULL) {
      if_freenameindex(list);
      errno = ENOBUFS;
      return NULL;
    }
  }
  return list;
}

/* One entry of getifaddrs, with all that it points to. */
struct address_entry {
  struct ifaddrs entry;
  char name[IFNAMSIZ];
  union {
    struct sockaddr any;
    struct sockaddr_in internet;
    struct sockaddr_ll link;
  } address, mask, broadcast;
};

static void fill_entry(struct address_entry *to, const struct lvlip_interface *row, bool is_link) {
  bool is_loopback = row->index == LOOPBACK_INDEX;
  memcpy(to->name, row->name, sizeof to->name);
  to->entry.ifa_name = to->name;
  to->entry.ifa_flags = (unsigned)flags_of(row);
  to->entry.ifa_addr = &to->address.any;
  if (is_link) {
    to->address.link = (struct sockaddr_ll){.sll_family = AF_PACKET,
                                            .sll_ifindex = (int)row->index,
                                            .sll_hatype = is_loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
                                            .sll_halen = sizeof row->mac};
    memcpy(to->address.link.sll_addr, row->mac, sizeof row->mac);
    return;
  }
  put_address(&to->address.any, address_of(row));
  put_address(&to->mask.any, mask_of(row));
  to->entry.ifa_netmask = &to->mask.any;
  if (is_loopback) return;
  put_address(&to->broadcast.any, address_of(row) | ~mask_of(row));
  to->entry.ifa_broadaddr = &to->broadcast.any;
}

/* One block, as the C library's: its freeifaddrs is free. First the interfaces, then their addresses. */
EXPORT int getifaddrs(struct ifaddrs **list) {
  struct table table;
  if (read_table(&table) < 0) return -1;
  struct address_entry *entries = calloc(2 * (size_t)table.count + 1, sizeof *entries);
  if (entries == NULL) return -1;
  size_t used = 0;
  for (int is_link = 1; is_link >= 0; is_link--) {
    for (uint32_t i = 0; i < table.count; i++) {
      if (is_link ? !is_first(&table, i) : !has_address(&table.rows[i])) continue;
      if (used > 0) entries[used - 1].entry.ifa_next = &entries[used].entry;
      fill_entry(&entries[used++], &table.rows[i], is_link != 0);
    }
  }
  *list = &entries->entry;
  return 0;
}
