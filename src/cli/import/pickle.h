/* SPDX-License-Identifier: MIT */
/*
 * pickle.h - reads the tensors that the pickle of a PyTorch checkpoint describes.
 *
 * A pickle is a program for a small machine that may call anything. This machine knows
 * only the calls that rebuild tensors and ordered dictionaries; any other name in a
 * pickle is an error, and nothing is ever executed. PEP 3154 and the comments of
 * CPython's pickletools describe the machine.
 */
#ifndef NST_CLI_IMPORT_PICKLE_H
#define NST_CLI_IMPORT_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "nst.h"

enum nst_value_kind {
    NST_VALUE_NONE,    /* also floats, which are not needed */
    NST_VALUE_NUMBER,  /* booleans too */
    NST_VALUE_TEXT,    /* UTF-8, not validated, terminated by a 0 */
    NST_VALUE_LIST,    /* tuples too */
    NST_VALUE_DICT,    /* keys and values alternate */
    NST_VALUE_GLOBAL,  /* module.name of a callable or a type */
    NST_VALUE_STORAGE, /* items: the persistent ID ("storage", type, key, ...) */
    NST_VALUE_TENSOR   /* items: storage, offset, sizes, strides, ... */
};

struct nst_value {
    enum nst_value_kind kind;
    int64_t number;
    char *text;
    struct nst_value **item;
    size_t count;
    struct nst_value *next; /* links all values made, for freeing */
    size_t capacity;
};

/* Run the pickle at the beginning of bytes; *used becomes its length. *out becomes a
 * list of one value, the result, and belongs to the caller with all values it refers
 * to: nst_values_free(). Messages begin with label. NST_ERR_FORMAT. */
enum nst_status nst_unpickle(struct nst_value **out, const unsigned char *bytes,
                             size_t size, size_t *used, const char *label,
                             struct nst_err *err);
void nst_values_free(struct nst_value *v); /* NULL is fine */

/* The value of a text key, borrowed; or NULL. */
const struct nst_value *nst_value_get(const struct nst_value *dict, const char *key);

#endif
