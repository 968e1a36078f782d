/* SPDX-License-Identifier: MIT */
/* oom.h - what happens if a small allocation fails: the program ends. */
#ifndef NST_BASE_OOM_H
#define NST_BASE_OOM_H

/* Set what nst_out_of_memory() calls first. NULL: nothing. */
void nst_set_oom_handler(void (*handler)(void));

/* Call the handler, then abort(). */
void nst_out_of_memory(void) __attribute__((noreturn));

#endif
