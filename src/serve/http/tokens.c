/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/tokens.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/text_file.h"

#define MIN_TOKEN 16 /* characters */
#define MAX_TOKEN 511
#define HASH_PREFIX "sha256:"
#define BLANKS " \t\r\n"

struct serve_tokens {
    GArray *list; /* struct serve_token */
    bool is_exposed;
};

static void hash(char out[SERVE_DIGEST_SIZE], const char *token)
{
    char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, token, -1);

    g_strlcpy(out, digest, SERVE_DIGEST_SIZE);
    g_free(digest);
}

bool serve_quota_set(struct serve_quota *quota, const char *text, char **error)
{
    const struct {
        const char *name;
        int64_t *value;
    } quotas[] = {{"waiting", &quota->waiting},
                  {"running", &quota->running},
                  {"bytes", &quota->bytes},
                  {"work-per-day", &quota->work_per_day}};
    size_t n = strcspn(text, "=");
    const char *number = text[n] ? text + n + 1 : "", *unit;
    char *end = NULL;
    int64_t v = g_ascii_isdigit(*number) ? g_ascii_strtoll(number, &end, 10) : 0;
    int shift;

    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
        if (strlen(quotas[i].name) != n || strncmp(quotas[i].name, text, n) != 0)
            continue;
        unit = end && *end ? strchr("KMGT", *end) : NULL;
        shift = unit ? 10 * (int)(unit - "KMGT" + 1) : 0;
        if (!end || end[unit != NULL] || v < 1 || v > INT64_MAX >> shift) {
            *error = nst_xasprintf("%.*s: '%.40s' is not a whole number from 1, with "
                                   "an optional K, M, G or T",
                                   (int)n, text, number);
            return false;
        }
        *quotas[i].value = v << shift;
        return true;
    }
    *error = nst_xasprintf("'%.60s' is no quota (waiting=N, running=N, bytes=N or "
                           "work-per-day=N)",
                           text);
    return false;
}

static bool is_name(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n <= SERVE_MAX_OWNER && g_ascii_isalnum(text[0]) &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "._-") == n;
}

static bool is_digest(const char *text)
{
    return strlen(text) == SERVE_DIGEST_SIZE - 1 &&
           strspn(text, "0123456789abcdefABCDEF") == SERVE_DIGEST_SIZE - 1;
}

/* Set the digest from a word, the token or its hash. Returns NULL, or what is wrong. */
static char *set_digest(struct serve_token *token, const char *word, bool *is_plain)
{
    *is_plain = !g_str_has_prefix(word, HASH_PREFIX);
    if (!*is_plain) {
        char *lower;

        word += strlen(HASH_PREFIX);
        if (!is_digest(word))
            return nst_xstrdup("sha256: needs 64 hexadecimal digits, as sha256sum "
                               "prints them");
        lower = g_ascii_strdown(word, -1);
        g_strlcpy(token->digest, lower, sizeof token->digest);
        g_free(lower);
        return NULL;
    }
    if (strlen(word) < MIN_TOKEN || strlen(word) > MAX_TOKEN)
        return nst_xasprintf("a token has from %d to %d characters", MIN_TOKEN,
                             MAX_TOKEN);
    hash(token->digest, word);
    return NULL;
}

/* Parse the words of a line. Returns NULL, or what is wrong, a new string. */
static char *parse_words(struct serve_token *token, char **words, bool *is_plain)
{
    char *error = NULL;

    if (!words[0] || !words[1] || !words[2])
        return nst_xstrdup("a line is NAME ROLE TOKEN [QUOTA=N]...");
    if (!is_name(words[0]))
        return nst_xasprintf("'%.60s' is no name: up to %d letters, digits and . _ -",
                             words[0], SERVE_MAX_OWNER);
    g_strlcpy(token->name, words[0], sizeof token->name);
    token->is_operator = strcmp(words[1], "operator") == 0;
    if (!token->is_operator && strcmp(words[1], "user") != 0)
        return nst_xasprintf("'%.60s' is no role: user or operator", words[1]);
    error = set_digest(token, words[2], is_plain);
    if (!error && token->is_operator && words[3])
        return nst_xstrdup("an operator has no quotas");
    for (int i = 3; !error && words[i]; i++)
        serve_quota_set(&token->quota, words[i], &error);
    if (token->is_operator)
        token->quota = (struct serve_quota){0};
    return error;
}

/* The words of a line without its comment, a new list. */
static char **split_words(char *line)
{
    GPtrArray *words = g_ptr_array_new();
    char *rest = NULL;

    for (char *w = strtok_r(line, BLANKS, &rest); w && *w != '#';
         w = strtok_r(NULL, BLANKS, &rest))
        g_ptr_array_add(words, g_strdup(w));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/* Add the token of a line, if it has one. Returns NULL, or what is wrong. */
static char *add_line(struct serve_tokens *t, char *line, const struct serve_quota *q,
                      bool *has_plain)
{
    struct serve_token token = {.quota = *q};
    char **words = split_words(line), *error = NULL;
    bool is_plain = false;

    if (words[0])
        error = parse_words(&token, words, &is_plain);
    for (guint i = 0; words[0] && !error && i < t->list->len; i++) {
        const struct serve_token *other =
            &g_array_index(t->list, struct serve_token, i);

        if (strcmp(other->name, token.name) == 0)
            error = nst_xasprintf("there is a token of %s already", token.name);
        else if (strcmp(other->digest, token.digest) == 0)
            error = nst_xasprintf("%s has this token already", other->name);
    }
    if (words[0] && !error)
        g_array_append_val(t->list, token);
    *has_plain = *has_plain || is_plain;
    g_strfreev(words);
    return error;
}

/* Open a file of tokens, after its byte order mark. */
static enum nst_status open_file(FILE **f, bool *is_exposed, const char *path,
                                 struct nst_err *err)
{
    struct stat st;

    *f = fopen(path, "re");
    if (!*f || fstat(fileno(*f), &st) != 0)
        return nst_err_set(err, nst_open_status(errno), "cannot open %s: %s", path,
                           strerror(errno));
    *is_exposed = (st.st_mode & S_IROTH) != 0;
    if (nst_text_file_begin(*f, path, err) != NST_OK)
        return err->status = NST_ERR_ARG;
    return NST_OK;
}

static struct serve_tokens *new_tokens(void)
{
    struct serve_tokens *t = nst_xcalloc(1, sizeof *t);

    t->list = g_array_new(FALSE, FALSE, sizeof(struct serve_token));
    return t;
}

/* Read the lines of f. */
static enum nst_status read_lines(struct serve_tokens *t, FILE *f, const char *path,
                                  const struct serve_quota *quota, struct nst_err *err)
{
    bool has_plain = false;
    char *line = NULL, *error = NULL;
    size_t size = 0;

    for (int number = 1; !error && getline(&line, &size, f) >= 0; number++) {
        error = add_line(t, line, quota, &has_plain);
        if (error)
            nst_err_set(err, NST_ERR_ARG, "%s:%d: %s", path, number, error);
    }
    free(line);
    t->is_exposed = t->is_exposed && has_plain;
    if (error) {
        free(error);
        return NST_ERR_ARG;
    }
    if (ferror(f))
        return nst_err_set(err, NST_ERR_IO, "cannot read %s", path);
    return t->list->len ? NST_OK
                        : nst_err_set(err, NST_ERR_ARG, "%s: has no tokens", path);
}

enum nst_status serve_tokens_read(struct serve_tokens **out, const char *path,
                                  const struct serve_quota *quota, struct nst_err *err)
{
    struct serve_tokens *t = new_tokens();
    FILE *f = NULL;
    enum nst_status st = open_file(&f, &t->is_exposed, path, err);

    if (st == NST_OK)
        st = read_lines(t, f, path, quota, err);
    if (f)
        fclose(f);
    *out = st == NST_OK ? t : NULL;
    if (st != NST_OK)
        serve_tokens_free(t);
    return st;
}

/* Read the token in the first line of f. */
static enum nst_status read_first(struct serve_tokens *t, FILE *f, const char *path,
                                  struct nst_err *err)
{
    struct serve_token token = {.name = "operator", .is_operator = true};
    char line[MAX_TOKEN + 2] = ""; /* with a newline */
    bool cut;

    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    cut = strlen(line) == sizeof line - 1 && line[MAX_TOKEN] != '\n';
    line[strcspn(line, "\r\n")] = 0;
    if (cut || strlen(line) < MIN_TOKEN)
        return nst_err_set(
            err, NST_ERR_ARG,
            "%s: the token in the first line must have from %d to %d characters", path,
            MIN_TOKEN, MAX_TOKEN);
    hash(token.digest, line);
    g_array_append_val(t->list, token);
    return NST_OK;
}

enum nst_status serve_tokens_read_one(struct serve_tokens **out, const char *path,
                                      struct nst_err *err)
{
    struct serve_tokens *t = new_tokens();
    FILE *f = NULL;
    enum nst_status st = open_file(&f, &t->is_exposed, path, err);

    if (st == NST_OK)
        st = read_first(t, f, path, err);
    if (f)
        fclose(f);
    *out = st == NST_OK ? t : NULL;
    if (st != NST_OK)
        serve_tokens_free(t);
    return st;
}

void serve_tokens_free(struct serve_tokens *t)
{
    if (!t)
        return;
    g_array_free(t->list, TRUE);
    free(t);
}

bool serve_tokens_are_exposed(const struct serve_tokens *t)
{
    return t->is_exposed;
}

const struct serve_token *serve_tokens_find(const struct serve_tokens *t,
                                            const char *token)
{
    const struct serve_token *found = NULL;
    char digest[SERVE_DIGEST_SIZE];

    hash(digest, token);
    for (guint i = 0; i < t->list->len; i++) { /* all, whichever it is */
        const struct serve_token *entry =
            &g_array_index(t->list, struct serve_token, i);

        if (serve_digest_equal(entry->digest, digest))
            found = entry;
    }
    return found;
}

const struct serve_token *serve_tokens_named(const struct serve_tokens *t,
                                             const char *name)
{
    for (guint i = 0; i < t->list->len; i++) {
        const struct serve_token *entry =
            &g_array_index(t->list, struct serve_token, i);

        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}
