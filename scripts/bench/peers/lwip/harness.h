/* What the files of lwIP's harness share. */
#ifndef HARNESS_H
#define HARNESS_H

#include "lwip/tcp.h"
#include "shared.h"

/* Closes a connection; what its callback is to answer. */
err_t finish(struct tcp_pcb *pcb);

/* Reads "connections HOST PORT PARALLEL WARM-UP SECONDS" from stdin and begins; 0 at its end. */
int connections_start(void);
/* Prints what ../../peer/connections.c prints when the time is over. */
void connections_check(void);

#endif
