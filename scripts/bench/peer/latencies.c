/* Times, and what is printed of them: shared with the harnesses of other stacks that are in C. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shared.h"

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

void latency_add(struct latencies *l, int64_t ns) {
  if (l->count == l->room) {
    l->room = l->room ? 2 * l->room : 1 << 16;
    l->ns = realloc(l->ns, l->room * sizeof *l->ns);
    if (!l->ns) fail("realloc");
  }
  l->ns[l->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

void latency_print(struct latencies *l) {
  if (l->count == 0) {
    errno = ETIMEDOUT;
    fail("no answer");
  }
  qsort(l->ns, l->count, sizeof *l->ns, compare);
  size_t last = l->count - 1;
  printf("\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f", l->ns[last / 2] / 1e3, l->ns[last * 9 / 10] / 1e3,
         l->ns[last * 99 / 100] / 1e3, l->ns[last] / 1e3);
}

void latency_report(struct latencies *l, int64_t took_ns) {
  printf("{\"rate\":%.1f,", l->count / (took_ns * 1e-9));
  latency_print(l);
  puts("}");
}
