/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/import/pickle.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"

/* More than any state dictionary has; a pickle with more is hostile. */
#define MAX_VALUES 4000000

/* Callables that may be named. Storage types (torch.FloatStorage etc.) may be, too. */
static const char *const allowed_globals[] = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_parameter"};

struct stack {
    struct nst_value **item;
    size_t count, capacity;
};

struct machine {
    const unsigned char *at, *begin, *end;
    const char *label;
    struct nst_err *err;
    struct nst_value *newest; /* all values made, newest first */
    size_t value_count;
    struct stack stack, memo;
    struct nst_value mark; /* its address represents the mark on the stack */
    bool failed;
};

static struct nst_value *fail(struct machine *m, const char *what, const char *detail)
{
    if (!m->failed)
        nst_err_set(m->err, NST_ERR_FORMAT, "%s: pickle, byte %zu: %s%s", m->label,
                    (size_t)(m->at - m->begin), what, detail);
    m->failed = true;
    return &m->mark;
}

static struct nst_value *make(struct machine *m, enum nst_value_kind kind)
{
    struct nst_value *v;

    if (m->value_count == MAX_VALUES)
        return fail(m, "too many values", "");
    v = nst_xcalloc(1, sizeof *v);
    v->kind = kind;
    v->next = m->newest;
    m->newest = v;
    m->value_count++;
    return v;
}

void nst_values_free(struct nst_value *v)
{
    while (v) {
        struct nst_value *next = v->next;

        free(v->text);
        free(v->item);
        free(v);
        v = next;
    }
}

static void append(struct nst_value *to, struct nst_value *v)
{
    if (to->count == to->capacity) {
        to->capacity = 2 * to->capacity + 4;
        to->item = nst_xrealloc(to->item, to->capacity * sizeof *to->item);
    }
    to->item[to->count++] = v;
}

static void push(struct stack *s, struct nst_value *v)
{
    if (s->count == s->capacity) {
        s->capacity = 2 * s->capacity + 64;
        s->item = nst_xrealloc(s->item, s->capacity * sizeof *s->item);
    }
    s->item[s->count++] = v;
}

static struct nst_value *pop(struct machine *m)
{
    if (!m->stack.count)
        return fail(m, "pops from an empty stack", "");
    return m->stack.item[--m->stack.count];
}

static struct nst_value *top(struct machine *m)
{
    if (!m->stack.count)
        return fail(m, "reads an empty stack", "");
    return m->stack.item[m->stack.count - 1];
}

/* Stack index of the first value above the latest mark. */
static size_t first_marked(struct machine *m)
{
    size_t i = m->stack.count;

    while (i > 0 && m->stack.item[i - 1] != &m->mark)
        i--;
    if (i == 0)
        fail(m, "the mark is missing", "");
    return i;
}

/* Move those values to the end of to, and pop the mark. */
static void move_marked(struct machine *m, struct nst_value *to)
{
    size_t first = first_marked(m);

    if (m->failed)
        return;
    for (size_t i = first; i < m->stack.count; i++)
        append(to, m->stack.item[i]);
    m->stack.count = first - 1;
}

static uint64_t read_uint(struct machine *m, int bytes)
{
    uint64_t v = 0;

    if (m->end - m->at < bytes) {
        fail(m, "ends early", "");
        m->at = m->end;
        return 0;
    }
    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | m->at[i];
    m->at += bytes;
    return v;
}

static struct nst_value *read_text(struct machine *m, uint64_t length)
{
    struct nst_value *v = make(m, NST_VALUE_TEXT);

    if (!m->failed && length > (uint64_t)(m->end - m->at))
        fail(m, "ends within a string", "");
    if (m->failed)
        return v;
    v->text = nst_xcalloc(length + 1, 1);
    memcpy(v->text, m->at, length);
    m->at += length;
    return v;
}

/* Read a line without its end. */
static struct nst_value *read_line(struct machine *m)
{
    const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
    struct nst_value *v;

    if (!end)
        return fail(m, "ends within a line", "");
    v = read_text(m, (uint64_t)(end - m->at));
    m->at += !m->failed;
    return v;
}

static bool is_storage_type(const char *name)
{
    size_t n = strlen(name), e = strlen("Storage");

    return strncmp(name, "torch.", 6) == 0 && n > e && !strchr(name + 6, '.') &&
           strcmp(name + n - e, "Storage") == 0;
}

static struct nst_value *push_global(struct machine *m, const struct nst_value *module,
                                     const struct nst_value *name)
{
    struct nst_value *v = make(m, NST_VALUE_GLOBAL);

    if (m->failed)
        return v;
    if (module->kind != NST_VALUE_TEXT || name->kind != NST_VALUE_TEXT)
        return fail(m, "a global has no name", "");
    v->text = nst_xasprintf("%s.%s", module->text, name->text);
    for (size_t i = 0; i < sizeof allowed_globals / sizeof *allowed_globals; i++)
        if (strcmp(v->text, allowed_globals[i]) == 0)
            return v;
    return is_storage_type(v->text)
               ? v
               : fail(m, "refers to something that is not a tensor: ", v->text);
}

/* Call the global on the stack below its arguments. */
static struct nst_value *reduce(struct machine *m)
{
    struct nst_value *arguments = pop(m), *name = pop(m), *v;

    if (m->failed)
        return name;
    if (name->kind != NST_VALUE_GLOBAL || arguments->kind != NST_VALUE_LIST)
        return fail(m, "calls an object without a name", "");
    if (strcmp(name->text, allowed_globals[0]) == 0) {
        v = make(m, NST_VALUE_DICT);
        if (arguments->count)
            return fail(m, "fills a dictionary by a call", "");
        return v;
    }
    if (strcmp(name->text, allowed_globals[3]) == 0)
        return arguments->count ? arguments->item[0] : fail(m, "rebuilds nothing", "");
    if (is_storage_type(name->text))
        return fail(m, "calls ", name->text);
    v = make(m, NST_VALUE_TENSOR);
    for (size_t i = 0; !m->failed && i < arguments->count; i++)
        append(v, arguments->item[i]);
    return v;
}

static struct nst_value *persistent_load(struct machine *m)
{
    struct nst_value *id = pop(m), *v = make(m, NST_VALUE_STORAGE);

    if (!m->failed &&
        (id->kind != NST_VALUE_LIST || id->count < 3 ||
         id->item[1]->kind != NST_VALUE_GLOBAL || id->item[2]->kind != NST_VALUE_TEXT))
        return fail(m, "a storage has no type and key", "");
    for (size_t i = 0; !m->failed && i < id->count; i++)
        append(v, id->item[i]);
    return v;
}

static void memo_put(struct machine *m, uint64_t index)
{
    struct nst_value *v = top(m);

    if (index > MAX_VALUES) {
        fail(m, "a memo index is out of range", "");
        return;
    }
    while (m->memo.count <= index && !m->failed)
        push(&m->memo, NULL);
    if (!m->failed)
        m->memo.item[index] = v;
}

static struct nst_value *memo_get(struct machine *m, uint64_t index)
{
    if (index >= m->memo.count || !m->memo.item[index])
        return fail(m, "reads a memo entry that was never set", "");
    return m->memo.item[index];
}

static struct nst_value *make_tuple(struct machine *m, int count)
{
    struct nst_value *v = make(m, NST_VALUE_LIST), *item[3];

    for (int i = count - 1; i >= 0; i--)
        item[i] = pop(m);
    for (int i = 0; i < count && !m->failed; i++)
        append(v, item[i]);
    return v;
}

static struct nst_value *pop_marked(struct machine *m, enum nst_value_kind kind)
{
    struct nst_value *v = make(m, kind);

    move_marked(m, v);
    return v;
}

/* Append values to the list or dictionary below them on the stack. */
static void append_items(struct machine *m, enum nst_value_kind kind, int count)
{
    struct nst_value *values =
        count ? make_tuple(m, count) : pop_marked(m, NST_VALUE_LIST);
    struct nst_value *to = top(m);

    if (!m->failed &&
        (to->kind != kind || (kind == NST_VALUE_DICT && values->count % 2 != 0)))
        fail(m, "appends to an object that is not a list or dictionary", "");
    for (size_t i = 0; !m->failed && i < values->count; i++)
        append(to, values->item[i]);
}

/* Ignore an attribute of a dictionary: it is a version. */
static void build_state(struct machine *m)
{
    pop(m);
    if (top(m)->kind != NST_VALUE_DICT)
        fail(m, "sets the state of an object that is not a dictionary", "");
}

static struct nst_value *make_number(struct machine *m, int64_t v)
{
    struct nst_value *n = make(m, NST_VALUE_NUMBER);

    n->number = v;
    return n;
}

static struct nst_value *read_long(struct machine *m)
{
    uint64_t bytes = read_uint(m, 1), v = 0;

    if (bytes > (uint64_t)(m->end - m->at))
        return fail(m, "ends within a number", "");
    for (uint64_t i = 0; i < bytes && i < 8; i++) /* only a magic number is longer */
        v |= (uint64_t)m->at[i] << 8 * i;
    if (bytes > 0 && bytes < 8 && m->at[bytes - 1] & 0x80)
        v |= UINT64_MAX << 8 * bytes;
    m->at += bytes;
    return make_number(m, (int64_t)v);
}

/* Run an opcode that pushes a value. Returns NULL if op is another one. */
static struct nst_value *run_value_op(struct machine *m, unsigned char op)
{
    struct nst_value *a;

    switch (op) {
    case '(':
        return &m->mark;
    case 'N':
        return make(m, NST_VALUE_NONE);
    case 0x88: /* true */
    case 0x89: /* false */
        return make_number(m, op == 0x88);
    case 'J':
        return make_number(m, (int32_t)read_uint(m, 4));
    case 'K':
        return make_number(m, (int64_t)read_uint(m, 1));
    case 'M':
        return make_number(m, (int64_t)read_uint(m, 2));
    case 0x8a:
        return read_long(m);
    case 'G':
        read_uint(m, 8);
        return make(m, NST_VALUE_NONE);
    case 'X':
    case 'T':
        return read_text(m, read_uint(m, 4));
    case 0x8c:
    case 'U':
        return read_text(m, read_uint(m, 1));
    case '}':
        return make(m, NST_VALUE_DICT);
    case ']':
    case ')':
        return make(m, NST_VALUE_LIST);
    case 't':
    case 'l':
        return pop_marked(m, NST_VALUE_LIST);
    case 'd':
        return pop_marked(m, NST_VALUE_DICT);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_tuple(m, op - 0x84);
    case 'c':
        a = read_line(m);
        return push_global(m, a, read_line(m));
    case 0x93:
        a = pop(m);
        return push_global(m, pop(m), a);
    case 'R':
        return reduce(m);
    case 'Q':
        return persistent_load(m);
    case 'h':
        return memo_get(m, read_uint(m, 1));
    case 'j':
        return memo_get(m, read_uint(m, 4));
    case '2':
        return top(m);
    default:
        return NULL;
    }
}

/* Run any other opcode. Returns false if it is unknown. */
static bool run_other_op(struct machine *m, unsigned char op)
{
    switch (op) {
    case 0x80: /* protocol */
        read_uint(m, 1);
        return true;
    case 0x95: /* frame */
        read_uint(m, 8);
        return true;
    case 'q':
        memo_put(m, read_uint(m, 1));
        return true;
    case 'r':
        memo_put(m, read_uint(m, 4));
        return true;
    case 0x94:
        memo_put(m, m->memo.count);
        return true;
    case 's':
        append_items(m, NST_VALUE_DICT, 2);
        return true;
    case 'u':
        append_items(m, NST_VALUE_DICT, 0);
        return true;
    case 'a':
        append_items(m, NST_VALUE_LIST, 1);
        return true;
    case 'e':
        append_items(m, NST_VALUE_LIST, 0);
        return true;
    case 'b':
        build_state(m);
        return true;
    case '0':
        pop(m);
        return true;
    default:
        return false;
    }
}

static void run_op(struct machine *m, unsigned char op)
{
    struct nst_value *v = run_value_op(m, op);
    char name[8];

    if (v) {
        push(&m->stack, v);
        return;
    }
    if (run_other_op(m, op))
        return;
    snprintf(name, sizeof name, "0x%02x", op);
    fail(m, "an opcode that tensors do not need: ", name);
}

/* Pop the result. Fails on a key without a value and on a mark among values. */
static struct nst_value *pop_result(struct machine *m)
{
    struct nst_value *v = pop(m);

    for (struct nst_value *d = m->newest; d && !m->failed; d = d->next) {
        if (d->kind == NST_VALUE_DICT && d->count % 2 != 0)
            fail(m, "a key without a value", "");
        for (size_t i = 0; i < d->count; i++)
            if (d->item[i] == &m->mark)
                fail(m, "a mark among values", "");
    }
    return v == &m->mark ? fail(m, "ends with a mark", "") : v;
}

enum nst_status nst_unpickle(struct nst_value **out, const unsigned char *bytes,
                             size_t size, size_t *used, const char *label,
                             struct nst_err *err)
{
    struct machine m = {bytes, bytes, bytes + size, label, err};
    struct nst_value *v = NULL, *root;
    bool stopped = false;

    while (!m.failed && !stopped) {
        if (m.at == m.end)
            fail(&m, "ends early", "");
        else if (*m.at == '.') {
            m.at++;
            stopped = true;
        } else
            run_op(&m, *m.at++);
    }
    if (!m.failed)
        v = pop_result(&m);
    *used = (size_t)(m.at - m.begin);
    free(m.stack.item);
    free(m.memo.item);
    *out = NULL;
    if (m.failed) {
        nst_values_free(m.newest);
        return NST_ERR_FORMAT;
    }
    /* nst_values_free() follows next, so root leads to all other values. */
    root = nst_xcalloc(1, sizeof *root);
    *root = (struct nst_value){.kind = NST_VALUE_LIST, .next = m.newest};
    append(root, v);
    *out = root;
    return NST_OK;
}

const struct nst_value *nst_value_get(const struct nst_value *dict, const char *key)
{
    for (size_t i = 0; dict->kind == NST_VALUE_DICT && i < dict->count; i += 2)
        if (dict->item[i]->kind == NST_VALUE_TEXT &&
            strcmp(dict->item[i]->text, key) == 0)
            return dict->item[i + 1];
    return NULL;
}
