/* Finds the C library's functions, and remembers what of the environment must survive. */
#include "internal.h"

#include <dlfcn.h>
#include <nss.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct real_functions functions;
static atomic_bool is_resolved;

/* As large as a line of the environment with a path can get. */
static char preload_line[4200];
static char socket_line[300];
static char pass_line[40];
static uint64_t pass;

const struct real_functions *lvlip_real(void) {
  if (!atomic_load_explicit(&is_resolved, memory_order_acquire)) {
    /* Two threads may both do this: they write the same. ISO C has no conversion from void * to a function's. */
#define RESOLVE(name, result, parameters) *(void **)&functions.name = dlsym(RTLD_NEXT, #name);
    REAL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    atomic_store_explicit(&is_resolved, true, memory_order_release);
  }
  return &functions;
}

static void remember(const char *name, char *line, size_t size) {
  const char *value = getenv(name);
  if (value == NULL || *value == '\0') return;
  int length = snprintf(line, size, "%s=%s", name, value);
  if (length < 0 || (size_t)length >= size) line[0] = '\0';
}

__attribute__((constructor)) static void set_up(void) {
  int saved = errno;
  (void)lvlip_real();
  remember("LD_PRELOAD", preload_line, sizeof preload_line);
  remember("LVLIP_SOCKET", socket_line, sizeof socket_line);
  remember("LVLIP_PASS", pass_line, sizeof pass_line);
  if (pass_line[0] != '\0') pass = strtoull(strchr(pass_line, '=') + 1, NULL, 16);
  for (int fd = 0; fd <= 2; fd++) {
    if (is_datagram(lvlip_tag(fd))) lvlip_note_datagram();
  }
  /* The C library's resolver would ask name servers through the kernel. /etc/hosts stays its business, the rest is ours. */
  __nss_configure_lookup("hosts", "files");
  errno = saved;
}

const char *lvlip_preload_line(void) { return preload_line[0] == '\0' ? NULL : preload_line; }

const char *lvlip_socket_line(void) { return socket_line[0] == '\0' ? NULL : socket_line; }

const char *lvlip_pass_line(void) { return pass_line[0] == '\0' ? NULL : pass_line; }

uint64_t lvlip_pass(void) { return pass; }

void lvlip_complain(const char *message) {
  static atomic_flag said = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&said)) return;
  char line[512];
  int length = snprintf(line, sizeof line, "lvl-ip: %s\n", message);
  if (length <= 0) return;
  if (length >= (int)sizeof line) length = sizeof line - 1;
  int saved = errno;
  if (write(STDERR_FILENO, line, (size_t)length) < 0) {
    /* Nobody reads it: there is no one else to tell. */
  }
  errno = saved;
}
