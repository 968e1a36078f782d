/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/cookie.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32
#define KEPT_KIND 32 /* sizes of what a thread keeps of its last signature */
#define KEPT_TEXT 256

static unsigned char key[KEY_BYTES];
static atomic_uint key_number; /* changes with the key */

/* Read the key from a locked file, or make it in one that does not have it. */
static bool read_key(int fd)
{
    if (flock(fd, LOCK_EX) != 0 || fchmod(fd, 0600) != 0)
        return false;
    if (pread(fd, key, sizeof key, 0) == KEY_BYTES)
        return true;
    return getrandom(key, sizeof key, 0) == KEY_BYTES && ftruncate(fd, 0) == 0 &&
           pwrite(fd, key, sizeof key, 0) == KEY_BYTES && fsync(fd) == 0;
}

enum nst_status serve_key_open(const char *dir, struct nst_err *err)
{
    char *path = nst_xasprintf("%s/key", dir);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum nst_status st = NST_OK;

    if (fd < 0 || !read_key(fd))
        st = nst_err_set(err, NST_ERR_IO, "%s: %s", path, strerror(errno));
    atomic_fetch_add(&key_number, 1);
    if (fd >= 0)
        close(fd);
    free(path);
    return st;
}

static void compute(char out[SERVE_DIGEST_SIZE], const char *kind, const char *text)
{
    GHmac *h = g_hmac_new(G_CHECKSUM_SHA256, key, sizeof key);

    g_hmac_update(h, (const guchar *)kind, (gssize)strlen(kind));
    g_hmac_update(h, (const guchar *)"\n", 1);
    g_hmac_update(h, (const guchar *)text, (gssize)strlen(text));
    g_strlcpy(out, g_hmac_get_string(h), SERVE_DIGEST_SIZE);
    g_hmac_unref(h);
}

/* A signature takes a quarter of a short request: each thread keeps the last one, which
 * is that of the next request if the same client sends it. */
void serve_key_sign(char out[SERVE_DIGEST_SIZE], const char *kind, const char *text)
{
    static _Thread_local struct {
        unsigned key;
        char kind[KEPT_KIND], text[KEPT_TEXT], digest[SERVE_DIGEST_SIZE];
    } last;
    unsigned number = atomic_load(&key_number);

    if (*last.digest && last.key == number && strcmp(last.text, text) == 0 &&
        strcmp(last.kind, kind) == 0) {
        memcpy(out, last.digest, SERVE_DIGEST_SIZE);
        return;
    }
    compute(out, kind, text);
    last.key = number;
    if (g_strlcpy(last.kind, kind, sizeof last.kind) < sizeof last.kind &&
        g_strlcpy(last.text, text, sizeof last.text) < sizeof last.text)
        memcpy(last.digest, out, SERVE_DIGEST_SIZE);
    else /* not the whole text */
        *last.digest = 0;
}

bool serve_digest_equal(const char *a, const char *b)
{
    unsigned difference = 0;

    for (size_t i = 0; i < SERVE_DIGEST_SIZE - 1; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static void sign(char out[SERVE_DIGEST_SIZE], const char *kind, const char *text,
                 const char *secret, int64_t expiry)
{
    char *all = nst_xasprintf("%s\n%" PRId64 "\n%s", text, expiry, secret);

    serve_key_sign(out, kind, all);
    free(all);
}

char *serve_cookie_make(const char *kind, const char *text, const char *secret,
                        int64_t expiry)
{
    char signature[SERVE_DIGEST_SIZE];

    sign(signature, kind, text, secret, expiry);
    return nst_xasprintf("%s.%" PRId64 ".%s", text, expiry, signature);
}

bool serve_cookie_parse(struct serve_cookie *c, const char *value, int64_t now)
{
    const char *end = value ? strrchr(value, '.') : NULL, *dot;
    char *rest;

    if (!end || strlen(end + 1) != SERVE_DIGEST_SIZE - 1)
        return false;
    dot = g_strrstr_len(value, end - value, ".");
    if (!dot || dot == value || dot - value > SERVE_MAX_OWNER ||
        !g_ascii_isdigit(dot[1]))
        return false;
    c->expiry = g_ascii_strtoll(dot + 1, &rest, 10);
    if (rest != end || c->expiry <= now)
        return false;
    g_strlcpy(c->text, value, (gsize)(dot - value) + 1);
    g_strlcpy(c->signature, end + 1, sizeof c->signature);
    return true;
}

bool serve_cookie_is_genuine(const struct serve_cookie *c, const char *kind,
                             const char *secret)
{
    char signature[SERVE_DIGEST_SIZE];

    sign(signature, kind, c->text, secret, c->expiry);
    return serve_digest_equal(signature, c->signature);
}
