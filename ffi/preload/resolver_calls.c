/*
 * The resolver's own calls would send their questions through the kernel, by sockets that nobody can stand in front of.
 * Programs that use them (for records other than addresses) are told to try again later.
 */
#include "internal.h"

#define REFUSE(name, parameters) \
  EXPORT int name parameters { \
    h_errno = TRY_AGAIN; \
    return -1; \
  }

struct __res_state;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
REFUSE(res_query, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_query, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_search, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_search, (const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_send, (const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(__res_send, (const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(res_nquery, (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_nquery,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_nsearch,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(__res_nsearch,
       (struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int length))
REFUSE(res_nsend, (struct __res_state *state, const unsigned char *query, int size, unsigned char *answer, int length))
REFUSE(__res_nsend,
       (struct __res_state *state, const unsigned char *query, int size, unsigned char *answer, int length))
#pragma GCC diagnostic pop
