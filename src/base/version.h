/* SPDX-License-Identifier: MIT */
/* version.h - the version of libnst. NST_VERSION in nst.h is that of the header. */
#ifndef NST_BASE_VERSION_H
#define NST_BASE_VERSION_H

const char *nst_version(void); /* as "0.2.0" */

#endif
