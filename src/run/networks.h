/* SPDX-License-Identifier: MIT */
/*
 * networks.h - selects the networks of a run: those requested, without optional ones
 * that are missing or that a style pack lacks; else those of its style packs.
 */
#ifndef NST_RUN_NETWORKS_H
#define NST_RUN_NETWORKS_H

#include "run/run.h"

/*
 * Select the networks for a run by p on the pictures of b. Reports differences from the
 * request unless p is quiet. *model, a new string or NULL (the best one found), is the
 * value for p->model. Errors of nst_models_parse() and nst_pack_load().
 */
enum nst_status nst_networks_choose(char **model, const struct nst_params *p,
                                    const struct nst_batch *b,
                                    const struct nst_run_events *events,
                                    struct nst_err *err);

/* p->model without the networks that no scale of the pictures uses: a new string for
 * nst_session_new(). Errors of nst_models_parse(). */
enum nst_status nst_networks_used(char **model, const struct nst_params *p,
                                  const struct nst_batch *b, struct nst_err *err);

#endif
