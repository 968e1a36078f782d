/* SPDX-License-Identifier: MIT */
/* dialog.h - asks the user for the settings. */
#ifndef NST_GIMP_DIALOG_H
#define NST_GIMP_DIALOG_H

#include "gimp/region.h"
#include "gimp/settings.h"

/* Let the user change *s for that region, which is not changed. False if the user
 * closes the dialog. */
gboolean nst_gimp_dialog_run(struct nst_gimp_settings *s,
                             const struct nst_gimp_region *r);

#endif
