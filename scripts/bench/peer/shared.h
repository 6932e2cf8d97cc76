/* What the harnesses of other stacks that are in C share with the kernel-side peer. */
#ifndef SHARED_H
#define SHARED_H

#include <stddef.h>
#include <stdint.h>

/* What a server does with a connection, by its port. */
enum {
  PORT_SINK = 7001,   /* reads until the end, then closes */
  PORT_SOURCE = 7002, /* writes until the peer goes away */
  PORT_ECHO = 7003,   /* sends back what comes, closes at the end */
  PORT_CLOSE = 7004   /* closes at once */
};

/* Leaves with "PROGRAM: WHAT: why"; each program has its own. */
_Noreturn void fail(const char *what);

/* Nanoseconds on the monotonic clock. */
int64_t now_ns(void);

/* Round-trip times, and what is printed of them. */
struct latencies {
  uint32_t *ns;
  size_t count, room;
};
void latency_add(struct latencies *l, int64_t ns);
/* Prints `"p50":..,"p90":..,"p99":..,"max":..` in microseconds; sorts. */
void latency_print(struct latencies *l);
/* Prints them as one line of JSON, after `"rate"`: how many there were a second. */
void latency_report(struct latencies *l, int64_t took_ns);

#endif
