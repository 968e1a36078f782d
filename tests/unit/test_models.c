/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/models.h"

static char *read_back(const char *text)
{
    struct nst_models m;
    struct nst_err err;
    char *s;

    assert_int_equal(nst_models_parse(&m, text, &err), NST_OK);
    s = nst_models_format(&m);
    nst_models_clear(&m);
    return s;
}

static void a_list_reads_back_as_it_was_written(void **state)
{
    static const char *const good[] = {"vgg19", "vgg19:256,vgg19-lite",
                                       "vgg19?:16,b?:17,c:65536,d?", "a:b.c/d:20x",
                                       "./one:64,../t,wo/x.y:128,z"};

    (void)state;
    for (size_t i = 0; i + 1 < sizeof good / sizeof *good; i++) {
        char *s = read_back(good[i]);

        assert_string_equal(s, good[i]);
        free(s);
    }
}

static void each_size_has_one_network(void **state)
{
    struct nst_models m;

    (void)state;
    assert_int_equal(nst_models_parse(&m, "a:64,b?:256,c", NULL), NST_OK);
    assert_int_equal(m.count, 3);
    assert_true(!m.model[0].optional && m.model[1].optional && !m.model[2].optional);
    assert_int_equal(nst_models_for_size(&m, 16), 0);
    assert_int_equal(nst_models_for_size(&m, 64), 0);
    assert_int_equal(nst_models_for_size(&m, 65), 1);
    assert_int_equal(nst_models_for_size(&m, 256), 1);
    assert_int_equal(nst_models_for_size(&m, 257), 2);
    assert_int_equal(nst_models_for_size(&m, 100000), 2);
    nst_models_clear(&m);
    assert_int_equal(nst_models_parse(&m, NULL, NULL), NST_OK);
    assert_int_equal(m.count, 1);
    assert_null(m.model[0].name);
    assert_null(nst_models_format(&m));
    nst_models_clear(&m);
}

static void what_is_left_out_leaves_its_sizes_to_a_neighbour(void **state)
{
    static const struct {
        bool keep[3];
        const char *left;
    } cases[] = {{{true, true, true}, "a:64,b:256,c"}, {{false, true, true}, "b:256,c"},
                 {{true, false, true}, "a:64,c"},      {{true, true, false}, "a:64,b"},
                 {{false, false, true}, "c"},          {{true, false, false}, "a"},
                 {{false, false, false}, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool keep[NST_MODELS_MAX] = {false};
        struct nst_models m;
        char *s;

        memcpy(keep, cases[i].keep, sizeof cases[i].keep);
        assert_int_equal(nst_models_parse(&m, "a:64,b:256,c", NULL), NST_OK);
        nst_models_filter(&m, keep);
        s = nst_models_format(&m);
        assert_int_equal(m.count > 0, true);
        if (cases[i].left)
            assert_string_equal(s, cases[i].left);
        else
            assert_null(s);
        free(s);
        nst_models_clear(&m);
    }
    { /* equal neighbours are merged */
        bool keep[NST_MODELS_MAX] = {true, false, true};
        struct nst_models m;
        char *s;

        assert_int_equal(nst_models_parse(&m, "a:64,b:256,a", NULL), NST_OK);
        nst_models_filter(&m, keep);
        s = nst_models_format(&m);
        assert_string_equal(s, "a");
        free(s);
        nst_models_clear(&m);
    }
}

static void refuse(const char *text, const char *why)
{
    struct nst_models m;
    struct nst_err err = {0};

    assert_int_equal(nst_models_parse(&m, text, &err), NST_ERR_ARG);
    if (!strstr(err.text, why) || !strstr(err.text, "as in vgg19:256,vgg19-lite"))
        fail_msg("%s: %s", text, err.text);
    nst_models_clear(&m);
}

static void a_malformed_list_is_refused_with_its_reason(void **state)
{
    (void)state;
    refuse("a:15,b", "'15' is not a whole number between 16 and 65536");
    refuse("a:65537,b", "'65537' is not a whole number between 16 and 65536");
    refuse("a:99999999999999999999,b", "'99999999999999999999' is not");
    refuse("a:64,b:64,c", "'64' is not");
    refuse("a:64,b:32,c", "'32' is not");
    refuse("a:64", "the last network serves all larger sizes");
    refuse("a:64,b:128", "the last network serves all larger sizes");
    refuse("a,b", "'a,b': every network but the last needs the largest size");
    refuse("a,b:64,c", "'a,b': every network but the last needs the largest size");
    refuse("a:64,b,c", "'b,c': every network but the last needs the largest size");
    refuse("a:64,", "names no network");
    refuse(":64,a", "names no network");
    refuse("a:16,b:17,c:18,d:19,e:20,f:21,g:22,h:23,i", "has more than 8 networks");
}

static void a_file_keeps_its_name_whatever_is_in_it(void **state)
{
    static const char *const names[] = {"./a,b.safetensors", "./a:64", "./a:64,b",
                                        "./a?"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        FILE *f = fopen(names[i], "w");
        struct nst_models m;
        char list[64];

        assert_non_null(f);
        fclose(f);
        assert_int_equal(nst_models_parse(&m, names[i], NULL), NST_OK);
        assert_int_equal(m.count, 1);
        assert_string_equal(m.model[0].name, names[i]);
        assert_false(m.model[0].optional);
        nst_models_clear(&m);
        if (i == 0 || i == 3) { /* also in a list */
            snprintf(list, sizeof list, "%s:64,c", names[i]);
            assert_int_equal(nst_models_parse(&m, list, NULL), NST_OK);
            assert_string_equal(m.model[0].name, names[i]);
            assert_false(m.model[0].optional);
            nst_models_clear(&m);
        }
        unlink(names[i]);
    }
}

int main(void)
{
    char folder[] = "/tmp/nst-models-XXXXXX";
    const struct CMUnitTest tests[] = {
        SAYS("a list reads back as it was written",
             a_list_reads_back_as_it_was_written),
        SAYS("each size has one network", each_size_has_one_network),
        SAYS("what is left out leaves its sizes to a neighbour",
             what_is_left_out_leaves_its_sizes_to_a_neighbour),
        SAYS("a malformed list is refused with its reason",
             a_malformed_list_is_refused_with_its_reason),
        SAYS("a file keeps its name whatever is in it",
             a_file_keeps_its_name_whatever_is_in_it),
    };
    int failed;

    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
