/* SPDX-License-Identifier: MIT */
/*
 * test_identity.c - the file of tokens, signed cookies and the limits of an address.
 */
#include "config.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http/cookie.h"
#include "serve/http/limiter.h"
#include "serve/http/tokens.h"
#include "unit.h"

#define TOKEN "correct-horse-battery"
/* printf %s correct-horse-battery | sha256sum */
#define TOKEN_SHA256 "62249369389075490555a758353aec61500c6218fa597252d52dc4bd0148f12d"

static const struct serve_quota none;

/* The folder of the key, and a file in it. */
static char folder[] = "/tmp/nst-test-XXXXXX";
static char tokens[sizeof folder + sizeof "/tokens"];
static char key[sizeof folder + sizeof "/key"];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    g_snprintf(tokens, sizeof tokens, "%s/tokens", folder);
    g_snprintf(key, sizeof key, "%s/key", folder);
    return serve_key_open(folder, NULL) == NST_OK ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    unlink(tokens);
    unlink(key);
    return rmdir(folder);
}

/* Read a file with these contents. */
static enum nst_status read_text(struct serve_tokens **out, const char *text,
                                 const struct serve_quota *quota, struct nst_err *err)
{
    assert_true(g_file_set_contents(tokens, text, -1, NULL));
    return serve_tokens_read(out, tokens, quota, err);
}

static void names_roles_and_quotas(void **state)
{
    const struct serve_quota initial = {.waiting = 7, .running = 2};
    struct serve_tokens *t;
    const struct serve_token *anna, *root;

    (void)state;
    assert_int_equal(read_text(&t,
                               "# who may come in\r\n\r\n"
                               "anna user " TOKEN
                               "  waiting=3 bytes=2G work-per-day=5T\n"
                               "\troot.1 operator another#horse-battery # at night",
                               &initial, NULL),
                     NST_OK);
    anna = serve_tokens_find(t, TOKEN);
    assert_ptr_equal(anna, serve_tokens_named(t, "anna"));
    assert_false(anna->is_operator);
    assert_int_equal(anna->quota.waiting, 3);
    assert_int_equal(anna->quota.running, 2);
    assert_int_equal(anna->quota.bytes, (int64_t)2 << 30);
    assert_int_equal(anna->quota.work_per_day, (int64_t)5 << 40);
    root = serve_tokens_find(t, "another#horse-battery");
    assert_string_equal(root->name, "root.1");
    assert_true(root->is_operator);
    assert_int_equal(root->quota.waiting, 0);
    assert_null(serve_tokens_find(t, TOKEN "x"));
    assert_null(serve_tokens_find(t, "correct-horse-batter"));
    assert_null(serve_tokens_find(t, ""));
    assert_null(serve_tokens_named(t, "bob"));
    serve_tokens_free(t);
}

static void a_hash_instead_of_the_token(void **state)
{
    char *upper = g_ascii_strup(TOKEN_SHA256, -1);
    char *text = g_strdup_printf("anna user sha256:%s\n", upper);
    struct serve_tokens *t;

    (void)state;
    assert_int_equal(read_text(&t, text, &none, NULL), NST_OK);
    assert_non_null(serve_tokens_find(t, TOKEN));
    assert_null(serve_tokens_find(t, TOKEN_SHA256)); /* who read the file knows this */
    assert_null(serve_tokens_find(t, "sha256:" TOKEN_SHA256));
    serve_tokens_free(t);
    g_free(text);
    g_free(upper);
}

static void errors_name_the_line(void **state)
{
    static const char *const cases[][2] = {
        {"", "has no tokens"},
        {"# nothing\n", "has no tokens"},
        {"anna user\n", ":1: a line is NAME ROLE TOKEN"},
        {"\n\nanna user short\n", ":3: a token has from 16 to 511 characters"},
        {"anna admin " TOKEN "\n", ":1: 'admin' is no role: user or operator"},
        {"an/na user " TOKEN "\n", ":1: 'an/na' is no name"},
        {"visitor:1 user " TOKEN "\n", ":1: 'visitor:1' is no name"},
        {".anna user " TOKEN "\n", "is no name"},
        {"a123456789012345678901234567890123456789x user " TOKEN "\n", "is no name"},
        {"anna user sha256:12ab\n", ":1: sha256: needs 64 hexadecimal digits"},
        {"anna user " TOKEN " waiting=0\n", ":1: waiting: '0' is not a whole number"},
        {"anna user " TOKEN " waiting=\n", "waiting: ''"},
        {"anna user " TOKEN " waiting\n", "waiting: ''"},
        {"anna user " TOKEN " bytes=1Gx\n", "bytes: '1Gx'"},
        {"anna user " TOKEN " bytes=9223372036854775807K\n", "bytes: "},
        {"anna user " TOKEN " bytes=-1\n", "bytes: '-1'"},
        {"anna user " TOKEN " wait=1\n", ":1: 'wait=1' is no quota"},
        {"anna operator " TOKEN " waiting=1\n", ":1: an operator has no quotas"},
        {"anna user " TOKEN "\nanna user " TOKEN "2\n", ":2: there is a token of anna"},
        {"anna user " TOKEN "\nbob user " TOKEN "\n", ":2: anna has this token"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct serve_tokens *t;
        struct nst_err err;

        assert_int_equal(read_text(&t, cases[i][0], &none, &err), NST_ERR_ARG);
        assert_null(t);
        if (!strstr(err.text, cases[i][1]))
            fail_msg("'%s' does not say '%s'", err.text, cases[i][1]);
        assert_null(strstr(err.text, TOKEN));
    }
}

/* Write a file with this mode and see whether a warning is due. */
static bool is_exposed(const char *text, mode_t mode)
{
    struct serve_tokens *t;
    bool exposed;

    assert_true(g_file_set_contents(tokens, text, -1, NULL));
    assert_int_equal(chmod(tokens, mode), 0);
    assert_int_equal(serve_tokens_read(&t, tokens, &none, NULL), NST_OK);
    exposed = serve_tokens_are_exposed(t);
    serve_tokens_free(t);
    return exposed;
}

static void tokens_that_all_can_read(void **state)
{
    (void)state;
    assert_true(is_exposed("anna user " TOKEN "\n", 0644));
    assert_false(is_exposed("anna user " TOKEN "\n", 0640));
    assert_false(is_exposed("anna user sha256:" TOKEN_SHA256 "\n", 0644));
}

static void cookies_are_signed(void **state)
{
    char *value;
    struct serve_cookie c;

    (void)state;
    value = serve_cookie_make("session", "a.b-c", "secret", 1000);
    assert_true(serve_cookie_parse(&c, value, 999));
    assert_string_equal(c.text, "a.b-c");
    assert_int_equal(c.expiry, 1000);
    assert_true(serve_cookie_is_genuine(&c, "session", "secret"));
    assert_false(serve_cookie_is_genuine(&c, "visitor", "secret"));
    assert_false(serve_cookie_is_genuine(&c, "session", "secret2"));
    c.expiry = 2000;
    assert_false(serve_cookie_is_genuine(&c, "session", "secret"));
    c.expiry = 1000;
    c.text[0] = 'b';
    assert_false(serve_cookie_is_genuine(&c, "session", "secret"));
    assert_false(serve_cookie_parse(&c, value, 1000)); /* expired */
    free(value);
}

static void what_is_no_cookie(void **state)
{
    char *value;
    struct serve_cookie c;

    (void)state;
    value = serve_cookie_make("session", "anna", "secret", 1000);
    for (size_t n = strlen(value); n-- > 0;) { /* whatever is cut off */
        char *part = g_strndup(value, n);

        assert_false(serve_cookie_parse(&c, part, 1));
        assert_false(n > 0 && serve_cookie_parse(&c, value + n, 1) &&
                     serve_cookie_is_genuine(&c, "session", "secret"));
        g_free(part);
    }
    assert_false(serve_cookie_parse(&c, NULL, 1));
    for (size_t i = 0; value[i]; i++) { /* whatever is changed */
        char old = value[i];

        value[i] = old == '7' ? '8' : '7';
        assert_false(serve_cookie_parse(&c, value, 1) &&
                     serve_cookie_is_genuine(&c, "session", "secret"));
        value[i] = old;
    }
    free(value);
    value = serve_cookie_make("s", "a1234567890123456789012345678901234567890", "", 9);
    assert_false(serve_cookie_parse(&c, value, 1)); /* 41 characters */
    free(value);
}

static void the_key_stays(void **state)
{
    char *value;
    struct serve_cookie c;
    struct stat st;

    (void)state;
    value = serve_cookie_make("session", "anna", "", 1000);
    assert_true(serve_cookie_parse(&c, value, 1));
    assert_int_equal(chmod(key, 0644), 0); /* as an old backup left it */
    assert_int_equal(serve_key_open(folder, NULL), NST_OK);
    assert_true(serve_cookie_is_genuine(&c, "session", ""));
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(truncate(key, 31), 0); /* a damaged one is made anew */
    assert_int_equal(serve_key_open(folder, NULL), NST_OK);
    assert_false(serve_cookie_is_genuine(&c, "session", ""));
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_size, 32);
    free(value);
}

static void an_address_has_to_wait(void **state)
{
    struct serve_limiter l;

    (void)state;
    serve_limiter_open(&l, 1 / 6.0, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(serve_limiter_wait(&l, "192.0.2.1"), 0);
        assert_true(serve_limiter_take(&l, "192.0.2.1"));
    }
    assert_in_range(serve_limiter_wait(&l, "192.0.2.1"), 5, 6);
    assert_false(serve_limiter_take(&l, "192.0.2.1"));
    assert_int_equal(serve_limiter_wait(&l, "192.0.2.2"), 0);
    assert_true(serve_limiter_take(&l, "192.0.2.2"));
    serve_limiter_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("tokens have a name, a role and quotas", names_roles_and_quotas),
        SAYS("a hash can stand for a token, but not sign in",
             a_hash_instead_of_the_token),
        SAYS("an error in the tokens names the file and line, and no token",
             errors_name_the_line),
        SAYS("a warning is due if all can read tokens, but not their hashes",
             tokens_that_all_can_read),
        SAYS("a cookie is signed with its kind, secret and expiry", cookies_are_signed),
        SAYS("a cookie that was cut, changed or is too long is none",
             what_is_no_cookie),
        SAYS("the key stays the same and private, and a damaged one is made anew",
             the_key_stays),
        SAYS("an address that did it too often has to wait", an_address_has_to_wait),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
