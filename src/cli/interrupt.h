/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h - SIGINT, SIGTERM and SIGHUP. The first one asks for a stop: images that
 * have a result finish their step and are written. Nothing else keeps the program, such
 * as a read from a pipe that nobody writes to. A second SIGINT or SIGTERM ends the
 * program at once. A signal that was ignored at the start stays ignored.
 */
#ifndef NST_CLI_INTERRUPT_H
#define NST_CLI_INTERRUPT_H

/* Watch from now on; call it before other threads start. After a signal, end() is
 * called once, on another thread, as soon as no image is held. It must not return. */
void nst_interrupt_watch(void (*end)(void *ctx, int number), void *ctx);

/* The signal that asked for a stop, or 0. */
int nst_interrupt_number(void);

/* Hold the program for an image that has a result to write, and release it. */
void nst_interrupt_hold(void);
void nst_interrupt_release(void);

/* From now on the caller ends the program itself: end() is not called any more. */
void nst_interrupt_finish(void);

#endif
