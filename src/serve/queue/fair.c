/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/fair.h"

struct serve_fair_party {
    char *name;
    GQueue waiting; /* of struct serve_fair_task, by their link */
    unsigned running;
    int64_t max_running; /* 0: no limit */
    GList turn;          /* link in serve_fair_queue.turns, if tasks wait */
};

struct serve_fair_queue {
    GHashTable *parties; /* struct serve_fair_party by name */
    GQueue turns;        /* the parties with waiting tasks */
    unsigned waiting;
    bool numbered; /* the positions are up to date */
};

static void free_party(gpointer p)
{
    g_free(((struct serve_fair_party *)p)->name);
    g_free(p);
}

struct serve_fair_queue *serve_fair_new(void)
{
    struct serve_fair_queue *q = g_new0(struct serve_fair_queue, 1);

    q->parties = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_party);
    g_queue_init(&q->turns);
    return q;
}

void serve_fair_free(struct serve_fair_queue *q)
{
    if (q)
        g_hash_table_destroy(q->parties);
    g_free(q);
}

static struct serve_fair_party *get_party(struct serve_fair_queue *q, const char *name)
{
    struct serve_fair_party *p = g_hash_table_lookup(q->parties, name);

    if (!p) {
        p = g_new0(struct serve_fair_party, 1);
        p->name = g_strdup(name);
        p->turn.data = p;
        g_queue_init(&p->waiting);
        g_hash_table_insert(q->parties, p->name, p);
    }
    return p;
}

/* Put a party at the end of the turn, or take it out if no task of it waits; forget one
 * without tasks. is_listed: it has a turn now. */
static void update_turn(struct serve_fair_queue *q, struct serve_fair_party *p,
                        bool is_listed)
{
    if (is_listed)
        g_queue_unlink(&q->turns, &p->turn);
    if (p->waiting.length > 0)
        g_queue_push_tail_link(&q->turns, &p->turn);
    else if (p->running == 0)
        g_hash_table_remove(q->parties, p->name);
    q->numbered = false;
}

static void wait_in(struct serve_fair_queue *q, struct serve_fair_party *p,
                    struct serve_fair_task *t, bool first)
{
    t->party = p;
    t->link.data = t;
    t->waits = true;
    if (first)
        g_queue_push_head_link(&p->waiting, &t->link);
    else
        g_queue_push_tail_link(&p->waiting, &t->link);
    q->waiting++;
    q->numbered = false;
}

static void stop_waiting(struct serve_fair_queue *q, struct serve_fair_task *t)
{
    g_queue_unlink(&t->party->waiting, &t->link);
    t->waits = false;
    q->waiting--;
    q->numbered = false;
}

void serve_fair_add(struct serve_fair_queue *q, struct serve_fair_task *t,
                    const char *party, int64_t max_running)
{
    struct serve_fair_party *p = get_party(q, party);

    p->max_running = max_running;
    wait_in(q, p, t, false);
    if (p->waiting.length == 1)
        update_turn(q, p, false);
}

struct serve_fair_task *serve_fair_start(struct serve_fair_queue *q)
{
    struct serve_fair_party *next = NULL;
    struct serve_fair_task *t;

    for (const GList *l = q->turns.head; l; l = l->next) {
        struct serve_fair_party *p = l->data;

        if ((p->max_running == 0 || p->running < p->max_running) &&
            (!next || p->running < next->running))
            next = p;
    }
    if (!next)
        return NULL;
    t = g_queue_peek_head(&next->waiting);
    stop_waiting(q, t);
    next->running++;
    update_turn(q, next, true);
    return t;
}

void serve_fair_retry(struct serve_fair_queue *q, struct serve_fair_task *t)
{
    struct serve_fair_party *p = t->party;
    bool is_listed = p->waiting.length > 0;

    p->running--;
    wait_in(q, p, t, true);
    update_turn(q, p, is_listed);
}

void serve_fair_remove(struct serve_fair_queue *q, struct serve_fair_task *t)
{
    struct serve_fair_party *p = t->party;
    bool is_listed = p && p->waiting.length > 0, waited = t->waits;

    if (!p)
        return;
    if (waited)
        stop_waiting(q, t);
    else
        p->running--;
    t->party = NULL;
    if (!waited || p->waiting.length == 0) /* one that still waits keeps its turn */
        update_turn(q, p, is_listed);
}

static gint by_running(gconstpointer a, gconstpointer b)
{
    const struct serve_fair_party *x = *(struct serve_fair_party *const *)a,
                                  *y = *(struct serve_fair_party *const *)b;

    return (x->running > y->running) - (x->running < y->running);
}

/* Number the waiting tasks as if each took one turn after the other. */
static void number_tasks(struct serve_fair_queue *q)
{
    unsigned n = q->turns.length, position = 0, left = n;
    GPtrArray *parties = g_ptr_array_sized_new(n);
    GList **next = g_new(GList *, n + 1);

    for (const GList *l = q->turns.head; l; l = l->next)
        g_ptr_array_add(parties, l->data);
    g_ptr_array_sort(parties, by_running); /* stable */
    for (unsigned i = 0; i < n; i++)
        next[i] = ((struct serve_fair_party *)parties->pdata[i])->waiting.head;
    while (left > 0) { /* a round; parties without more tasks are dropped */
        unsigned kept = 0;

        for (unsigned i = 0; i < left; i++) {
            ((struct serve_fair_task *)next[i]->data)->position = ++position;
            if (next[i]->next)
                next[kept++] = next[i]->next;
        }
        left = kept;
    }
    g_free(next);
    g_ptr_array_free(parties, TRUE);
    q->numbered = true;
}

unsigned serve_fair_position(struct serve_fair_queue *q, struct serve_fair_task *t)
{
    if (!t->waits)
        return 0;
    if (!q->numbered)
        number_tasks(q);
    return t->position;
}

unsigned serve_fair_waiting(const struct serve_fair_queue *q)
{
    return q->waiting;
}

void serve_fair_count(const struct serve_fair_queue *q, const char *party,
                      unsigned *waiting, unsigned *running)
{
    const struct serve_fair_party *p = g_hash_table_lookup(q->parties, party);

    *waiting = p ? p->waiting.length : 0;
    *running = p ? p->running : 0;
}

void serve_fair_foreach(const struct serve_fair_queue *q,
                        void (*visit)(struct serve_fair_task *t))
{
    for (const GList *p = q->turns.head; p; p = p->next)
        for (const GList *l = ((struct serve_fair_party *)p->data)->waiting.head; l;
             l = l->next)
            visit(l->data);
}
