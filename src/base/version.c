/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/version.h"

const char *nst_version(void)
{
    return PACKAGE_VERSION;
}
