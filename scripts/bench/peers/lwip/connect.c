/* Connects and closes as often as it can, as ../../peer/connections.c does from the kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static struct latencies latencies;
static ip_addr_t host;
static int port;
/* 0: nothing is to be done. */
static int64_t from, until;

static void begin(void);

static void on_error(void *arg, err_t error) {
  (void)arg, (void)error;
  errno = ECONNRESET;
  fail("connect");
}

/* The server closes first: TIME-WAIT is the kernel's, which is told to keep few. */
static err_t on_end(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
  int64_t *began_at = arg, now = now_ns();
  (void)error;
  if (p) {
    pbuf_free(p);
    return ERR_OK;
  }
  if (now >= from && now < until) latency_add(&latencies, now - *began_at);
  free(began_at);
  tcp_err(pcb, NULL);
  err_t answer = finish(pcb);
  if (now < until) begin();
  return answer;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error) {
  (void)arg;
  tcp_recv(pcb, on_end);
  return error;
}

static void begin(void) {
  struct tcp_pcb *pcb = tcp_new();
  int64_t *began_at = malloc(sizeof *began_at);
  if (!pcb || !began_at) fail("connect");
  *began_at = now_ns();
  tcp_arg(pcb, began_at);
  tcp_err(pcb, on_error);
  if (tcp_connect(pcb, &host, port, on_connected) != ERR_OK) fail("connect");
}

int connections_start(void) {
  char line[128], name[64];
  int parallel;
  double warm_up, seconds;
  ssize_t count = read(0, line, sizeof line - 1);
  if (count <= 0) return 0;
  line[count] = 0;
  if (sscanf(line, "connections %63s %d %d %lf %lf", name, &port, &parallel, &warm_up, &seconds) != 5 ||
      !ipaddr_aton(name, &host)) {
    errno = EINVAL;
    fail(line);
  }
  latencies.count = 0;
  from = now_ns() + warm_up * 1e9;
  until = from + seconds * 1e9;
  for (int i = 0; i < parallel; i++) begin();
  return 1;
}

void connections_check(void) {
  if (until == 0 || now_ns() < until) return;
  latency_report(&latencies, until - from);
  fflush(stdout);
  until = 0;
}
