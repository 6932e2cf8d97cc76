/*
 * lwIP's raw API behind a TAP: `lwip tap0` serves on 10.0.0.4 as ../../peer/serve.c does, in one thread, until stdin ends.
 * What comes from stdin is for connect.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#include "harness.h"

/* Frames taken in before timers have their turn, and bytes of one tcp_write. */
#define BUDGET 64
#define WRITE_SIZE 0xffff

static int tap;
static char chunk[WRITE_SIZE];

u32_t sys_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

_Noreturn void fail(const char *what) {
  fprintf(stderr, "lwip: %s: %s\n", what, strerror(errno));
  _exit(1);
}

/* The device. */

static err_t link_output(struct netif *netif, struct pbuf *p) {
  struct iovec pieces[64];
  int count = 0;
  (void)netif;
  for (; p && count < 64; p = p->next) pieces[count++] = (struct iovec){.iov_base = p->payload, .iov_len = p->len};
  /* A frame that the TAP does not take is lost, as on a wire. */
  return writev(tap, pieces, count) < 0 ? ERR_BUF : ERR_OK;
}

static err_t netif_up(struct netif *netif) {
  static const u8_t mac[6] = {2, 0, 0, 0, 0, 4};
  netif->name[0] = 't';
  netif->name[1] = 'p';
  netif->mtu = 1500;
  netif->hwaddr_len = sizeof mac;
  memcpy(netif->hwaddr, mac, sizeof mac);
  netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
  netif->output = etharp_output;
  netif->linkoutput = link_output;
  return ERR_OK;
}

static void open_tap(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0) fail(name);
}

static void take_frames(struct netif *netif) {
  for (int i = 0; i < BUDGET; i++) {
    struct pbuf *p = pbuf_alloc(PBUF_RAW, PBUF_POOL_BUFSIZE, PBUF_POOL);
    if (!p) return;
    ssize_t count = read(tap, p->payload, PBUF_POOL_BUFSIZE);
    if (count <= 0) {
      pbuf_free(p);
      return;
    }
    pbuf_realloc(p, count);
    if (netif->input(p, netif) != ERR_OK) pbuf_free(p);
  }
}

/* The application. */

err_t finish(struct tcp_pcb *pcb) {
  tcp_recv(pcb, NULL);
  tcp_sent(pcb, NULL);
  if (tcp_close(pcb) == ERR_OK) return ERR_OK;
  tcp_abort(pcb);
  return ERR_ABRT;
}

static err_t on_sink(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
  (void)arg, (void)error;
  if (!p) return finish(pcb);
  tcp_recved(pcb, p->tot_len);
  pbuf_free(p);
  return ERR_OK;
}

static err_t on_echo(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
  (void)arg, (void)error;
  if (!p) return finish(pcb);
  tcp_recved(pcb, p->tot_len);
  for (struct pbuf *q = p; q; q = q->next) tcp_write(pcb, q->payload, q->len, TCP_WRITE_FLAG_COPY);
  pbuf_free(p);
  tcp_output(pcb);
  return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length) {
  (void)arg, (void)length;
  while (tcp_sndbuf(pcb) > 0) {
    u16_t size = LWIP_MIN(tcp_sndbuf(pcb), WRITE_SIZE);
    if (tcp_write(pcb, chunk, size, TCP_WRITE_FLAG_COPY) != ERR_OK) break;
  }
  tcp_output(pcb);
  return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error) {
  if (error != ERR_OK || !pcb) return ERR_VAL;
  tcp_nagle_disable(pcb);
  switch ((int)(long)arg) {
    case PORT_CLOSE: return finish(pcb);
    case PORT_ECHO: tcp_recv(pcb, on_echo); return ERR_OK;
    case PORT_SINK: tcp_recv(pcb, on_sink); return ERR_OK;
  }
  tcp_recv(pcb, on_sink);
  tcp_sent(pcb, on_sent);
  return on_sent(arg, pcb, 0);
}

static void listen_on(int port) {
  struct tcp_pcb *pcb = tcp_new();
  if (tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) fail("bind");
  pcb = tcp_listen(pcb);
  tcp_arg(pcb, (void *)(long)port);
  tcp_accept(pcb, on_accept);
}

int main(int argc, char **argv) {
  struct netif netif;
  ip4_addr_t address, mask, gateway;
  IP4_ADDR(&address, 10, 0, 0, 4);
  IP4_ADDR(&mask, 255, 255, 255, 0);
  IP4_ADDR(&gateway, 10, 0, 0, 5);
  open_tap(argc > 1 ? argv[1] : "tap0");
  lwip_init();
  netif_add(&netif, &address, &mask, &gateway, NULL, netif_up, ethernet_input);
  netif_set_default(&netif);
  netif_set_up(&netif);
  for (int port = PORT_SINK; port <= PORT_CLOSE; port++) listen_on(port);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct pollfd watched[2] = {{.fd = tap, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    u32_t sleep = sys_timeouts_sleeptime();
    connections_check();
    poll(watched, 2, sleep > 1000 ? 1000 : (int)sleep);
    if (watched[1].revents && !connections_start()) return 0;
    if (watched[0].revents) take_frames(&netif);
    sys_check_timeouts();
  }
}
