/* SPDX-License-Identifier: MIT */
/*
 * networks.h - which networks a run works with: those asked for, but for optional ones
 * that cannot be had, and else that of its style packs.
 */
#ifndef NST_RUN_NETWORKS_H
#define NST_RUN_NETWORKS_H

#include "run/run.h"

/*
 * Choose for a run by p of the pictures of b, and say where it is not what was asked
 * for or found, unless p is quiet. *model, a new string or NULL (the best one found),
 * is what p->model is to be. Errors of nst_models_parse() and nst_pack_load().
 */
enum nst_status nst_networks_choose(char **model, const struct nst_params *p,
                                    const struct nst_batch *b,
                                    const struct nst_run_events *events,
                                    struct nst_err *err);

/* The same, without those that no scale of the pictures uses: what an engine is to
 * load. Errors of nst_models_parse(). */
enum nst_status nst_networks_used(char **model, const struct nst_params *p,
                                  const struct nst_batch *b, struct nst_err *err);

#endif
