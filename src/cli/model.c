/* SPDX-License-Identifier: MIT */
/* nst-model - describes, verifies, converts and lists networks. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/path.h"
#include "cli/import/pth.h"
#include "cli/model_net.h"
#include "cli/program.h"
#include "options/json.h"
#include "nst.h"

enum {
    JSON_KEY = 0x100,
    LAST_KEY,
    F16_KEY,
    NORMALISE_KEY,
    INPUT_KEY,
    PREVIEW_KEY,
    TEXT_KEY
};

#ifdef HAVE_ARCHIVE
#define CHECKPOINT " (also a PyTorch checkpoint, .pth)"
#define NO_CHECKPOINT ""
#else
#define CHECKPOINT ""
#define NO_CHECKPOINT                                                                  \
    " This build does not read PyTorch checkpoints, because it lacks libarchive."
#endif

#define PICTURES 256     /* maximum for --normalise and verify */
#define PICTURE_SIDE 512 /* their longest side */

struct arguments {
    const char *command, *model;
    const char *picture[PICTURES];
    int pictures;
    struct nst_layer last;
    bool has_last, has_input;
    enum nst_input input;
    struct model_net_arguments net; /* and half and json of any network */
};

/* The network that the user has named. */
struct network {
    char *path;
    struct nst_weights *vgg; /* or NULL: net */
    struct nst_net_file net;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "File to write: NAME.safetensors, or NAME" NST_NET_SUFFIX
     " for a feed-forward network (convert)",
     0},
    {"last", LAST_KEY, "LAYER", 0,
     "Drop all layers of a VGG19 after this one (convert)", 0},
    {"f16", F16_KEY, NULL, 0, "Store the weights as 16-bit floats (convert)", 0},
    {"input", INPUT_KEY, "rgb|bgr255|rgb255", 0,
     "Input of the network: RGB (PyTorch), BGR from 0 to 255 (Caffe) or RGB from 0 to "
     "255; by default found by its first layer (convert)",
     0},
    {"normalise", NORMALISE_KEY, "PICTURE", 0,
     "Scale each layer to a mean activation of 1 over this image; repeat for more "
     "images (convert)",
     0},
    {"title", TEXT_KEY + NST_NET_TITLE, "TEXT", 0,
     "Title of the painting that a feed-forward network imitates (convert)", 0},
    {"artist", TEXT_KEY + NST_NET_ARTIST, "TEXT", 0, "Its artist (convert)", 0},
    {"year", TEXT_KEY + NST_NET_YEAR, "TEXT", 0, "Its year (convert)", 0},
    {"credit", TEXT_KEY + NST_NET_CREDIT, "TEXT", 0,
     "Who made a feed-forward network (convert)", 0},
    {"licence", TEXT_KEY + NST_NET_LICENCE, "TEXT", 0,
     "Licence of a feed-forward network (convert)", 0},
    {"preview", PREVIEW_KEY, "PICTURE", 0,
     "Store a small copy of PICTURE in a feed-forward network, to show what it does "
     "(convert)",
     0},
    {"license", TEXT_KEY + NST_NET_LICENCE, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL,
     0},
    {"json", JSON_KEY, NULL, 0, "Print one line of JSON (info, verify)", 0},
    {0}};

static void set_last(struct arguments *a, const char *name, struct argp_state *state)
{
    struct nst_layers layers;
    struct nst_err err;

    if (nst_layers_parse(&layers, name, &err) != NST_OK)
        argp_error(state, "last: %s", err.text);
    if (layers.count != 1)
        argp_error(state, "last: '%s' is not a single layer", name);
    a->last = layers.layer[0];
    a->has_last = true;
}

static void set_input(struct arguments *a, const char *name, struct argp_state *state)
{
    static const char *const names[] = {[NST_INPUT_RGB] = "rgb",
                                        [NST_INPUT_BGR255] = "bgr255",
                                        [NST_INPUT_RGB255] = "rgb255"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            a->input = (enum nst_input)i;
            a->has_input = true;
            return;
        }
    argp_error(state, "input: '%s' is not rgb, bgr255 or rgb255", name);
}

static void add_picture(struct arguments *a, const char *name, struct argp_state *state)
{
    if (a->pictures == PICTURES)
        argp_error(state, "'%s': at most %d images are allowed", name, PICTURES);
    a->picture[a->pictures++] = name;
}

static void check_arguments(const struct arguments *a, struct argp_state *state)
{
    const char *command = a->command ? a->command : "";
    bool converts = strcmp(command, "convert") == 0;
    bool lists = strcmp(command, "list") == 0;

    if (!converts && !lists && strcmp(command, "info") != 0 &&
        strcmp(command, "verify") != 0)
        argp_error(state, "'%s' is not a command; use info, verify, convert or list",
                   command);
    if (lists && a->model)
        argp_error(state, "list: takes no arguments");
    if (!a->model && !lists)
        argp_error(state, "%s: requires a MODEL", command);
    if (converts != (a->net.output != NULL))
        argp_error(state, "%s: %s", command,
                   converts ? "requires -o FILE" : "does not take -o");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    if (key == 'o')
        a->net.output = arg;
    else if (key == LAST_KEY)
        set_last(a, arg, state);
    else if (key == PREVIEW_KEY)
        a->net.preview = arg;
    else if (key >= TEXT_KEY && key < TEXT_KEY + NST_NET_TEXTS)
        a->net.text[key - TEXT_KEY] = arg;
    else if (key == F16_KEY)
        a->net.half = true;
    else if (key == INPUT_KEY)
        set_input(a, arg, state);
    else if (key == NORMALISE_KEY)
        add_picture(a, arg, state);
    else if (key == JSON_KEY)
        a->net.json = true;
    else if (key == ARGP_KEY_ARG && !a->command)
        a->command = arg;
    else if (key == ARGP_KEY_ARG && !a->model)
        a->model = arg;
    else if (key == ARGP_KEY_ARG && a->command && strcmp(a->command, "verify") == 0)
        add_picture(a, arg, state);
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "unexpected argument '%s'", arg);
    else if (key == ARGP_KEY_END)
        check_arguments(a, state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Whether the file begins like a PyTorch checkpoint: a zip file, or a pickle. False if
 * it cannot be read. */
static bool is_checkpoint(const char *path)
{
    unsigned char b[4] = {0};
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(b, 1, sizeof b, f) : 0;

    if (f)
        fclose(f);
    return n == sizeof b &&
           (memcmp(b, "PK\3\4", 4) == 0 || (b[0] == 0x80 && b[1] == 2));
}

/* The path of the network that the user calls wanted. */
static enum nst_status find_network(char **path, const char *wanted,
                                    struct nst_err *err)
{
    enum nst_status st;

    *path = NULL;
    if (strchr(wanted, '/') || nst_has_suffix(wanted, ".pth") ||
        nst_has_suffix(wanted, ".pt") || nst_has_suffix(wanted, NST_NET_SUFFIX)) {
        *path = nst_xstrdup(wanted);
        return NST_OK;
    }
    st = nst_find_model(path, wanted, err);
    if (st != NST_OK)
        *path = nst_find_net(wanted);
    return *path ? NST_OK : st;
}

/* Load a network by name, or from a file of nst's or a PyTorch checkpoint. */
static enum nst_status load_network(struct network *n, const char *wanted,
                                    struct nst_err *err)
{
    enum nst_status st = find_network(&n->path, wanted, err);

    if (st == NST_OK && is_checkpoint(n->path))
        return nst_pth_load(&n->vgg, &n->net.weights, n->path, err);
    if (st == NST_OK && nst_has_suffix(n->path, NST_NET_SUFFIX))
        return nst_net_file_load(&n->net, n->path, err);
    if (st == NST_OK)
        st = nst_weights_load(&n->vgg, n->path, 0, err);
    return st;
}

static const char *file_kind(const char *path)
{
    return is_checkpoint(path) ? "PyTorch" : "safetensors";
}

/* Mean activations over the pictures; each picture has the same weight. */
static enum nst_status measure_activations(double mean[NST_VGG_CONVS],
                                           const struct nst_weights *w,
                                           const struct arguments *a,
                                           struct nst_err *err)
{
    const struct nst_picture_size size = {PICTURE_SIDE, .max_pixels = 200000000};
    struct nst_mean_activation *activity;
    enum nst_status st = nst_mean_activation_new(&activity, w, err);

    for (int i = 0; st == NST_OK && i < a->pictures; i++) {
        struct nst_picture *p;

        st = nst_picture_load(&p, a->picture[i], &size, err);
        if (st == NST_OK)
            st = nst_mean_activation_add(activity, p->rgb, p->height, p->width, err);
        nst_picture_free(p);
    }
    if (st == NST_OK)
        nst_mean_activation_get(activity, mean);
    nst_mean_activation_free(activity);
    return st;
}

static json_t *weights_to_json(const struct nst_weights *w, const char *path,
                               const double *activation)
{
    json_t *layers = json_array();

    for (int i = 0; i < w->convs; i++) {
        const struct nst_layer_weights *l = &w->conv[i];
        int block, index;
        char name[16];
        json_t *j;

        nst_conv_position(i, &block, &index);
        snprintf(name, sizeof name, "conv%d_%d", block, index);
        j = json_pack("{s:s, s:i, s:i}", "layer", name, "in", l->cin, "out", l->cout);
        if (activation)
            json_object_set_new(j, "activation", json_real(activation[i]));
        json_array_append_new(layers, j);
    }
    return json_pack("{s:o, s:s, s:s, s:s*, s:o}", "path", nst_json_text(path), "kind",
                     file_kind(path), "input", nst_input_text(nst_input_guess(w)),
                     "left_out", w->left_out, "layers", layers);
}

static void print(json_t *j, bool as_json)
{
    const json_t *l;
    size_t i;

    if (as_json) {
        nst_print_json(j, 9);
        return;
    }
    printf("file     %s (%s)\n", json_string_value(json_object_get(j, "path")),
           json_string_value(json_object_get(j, "kind")));
    printf("input    %s\n", json_string_value(json_object_get(j, "input")));
    if (json_object_get(j, "left_out"))
        printf("unused   %s\n", json_string_value(json_object_get(j, "left_out")));
    json_array_foreach(json_object_get(j, "layers"), i, l) {
        const json_t *mean = json_object_get(l, "activation");

        printf("layer    %s, %d to %d channels",
               json_string_value(json_object_get(l, "layer")),
               (int)json_integer_value(json_object_get(l, "in")),
               (int)json_integer_value(json_object_get(l, "out")));
        if (mean)
            printf(", mean activation %.4g", json_real_value(mean));
        putchar('\n');
    }
}

/* Print a model that was read completely, and so is sound. */
static enum nst_status report(const struct nst_weights *w, const char *path,
                              const struct arguments *a, struct nst_err *err)
{
    double mean[NST_VGG_CONVS];
    enum nst_status st = NST_OK;
    json_t *j;

    if (a->pictures)
        st = measure_activations(mean, w, a, err);
    if (st != NST_OK)
        return st;
    j = weights_to_json(w, path, a->pictures ? mean : NULL);
    print(j, a->net.json);
    json_decref(j);
    if (strcmp(a->command, "verify") == 0 && !a->net.json)
        puts("sound");
    return NST_OK;
}

/* Say what the new file does not have of the old one, or has in another way. */
static void print_changes(const struct nst_weights *w, const char *path,
                          enum nst_input input, bool stated)
{
    const char *name = program_invocation_short_name;

    if (w->left_out)
        fprintf(stderr, "%s: %s: left out %s\n", name, path, w->left_out);
    if (input != NST_INPUT_RGB && !stated)
        fprintf(stderr,
                "%s: %s: expects pictures in %s, by its first layer; the weights are "
                "rewritten for RGB (--input=rgb keeps them)\n",
                name, path, nst_input_text(input));
}

static enum nst_status convert(struct nst_weights *w, const char *path,
                               const struct arguments *a, struct nst_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *texts[] = {"from",
                           slash ? slash + 1 : path,
                           "made_by",
                           PACKAGE_STRING,
                           a->pictures ? "normalised" : NULL,
                           "mean activation 1 at each layer",
                           NULL};
    double mean[NST_VGG_CONVS];
    enum nst_input input = a->has_input ? a->input : nst_input_guess(w);
    enum nst_status st;

    if (a->has_last && a->last.conv >= w->convs)
        return nst_err_set(err, NST_ERR_ARG,
                           "last: %s has %d convolutions, but the layer is number %d",
                           path, w->convs, a->last.conv + 1);
    if (a->has_last)
        w->convs = a->last.conv + 1;
    st = nst_protect_input(a->net.output, path, err);
    for (int i = 0; st == NST_OK && i < a->pictures; i++)
        st = nst_protect_input(a->net.output, a->picture[i], err);
    if (st == NST_OK)
        nst_input_convert(w, input);
    if (st == NST_OK && a->pictures)
        st = measure_activations(mean, w, a, err);
    if (st == NST_OK && a->pictures)
        nst_weights_normalise(w, mean);
    if (st == NST_OK)
        st = nst_weights_save(w, a->net.output, a->net.half, texts, err);
    if (st == NST_OK)
        print_changes(w, path, input, a->has_input);
    return st;
}

/* What works for networks of one kind only is refused for the other. */
static enum nst_status check_options(const struct network *n, const struct arguments *a,
                                     struct nst_err *err)
{
    if (!n->vgg && (a->has_last || a->has_input || a->pictures))
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: is a network that paints in one pass; --last, --input, "
                           "--normalise and images are for a VGG19",
                           n->path);
    for (int i = 0; n->vgg && i < NST_NET_TEXTS; i++)
        if (a->net.text[i])
            return nst_err_set(
                err, NST_ERR_ARG,
                "%s: is for a network that paints in one pass, but %s is "
                "a VGG19",
                nst_net_text_name((enum nst_net_text)i), n->path);
    if (n->vgg && a->net.preview)
        return nst_err_set(err, NST_ERR_ARG,
                           "preview: is for a network that paints in one pass, but %s "
                           "is a VGG19",
                           n->path);
    return NST_OK;
}

static enum nst_status run_net(struct network *n, const struct arguments *a,
                               struct nst_err *err)
{
    if (strcmp(a->command, "convert") == 0)
        return model_net_convert(&n->net, n->path, &a->net, err);
    model_net_print(&n->net, n->path, file_kind(n->path), &a->net);
    if (strcmp(a->command, "verify") == 0 && !a->net.json)
        puts("sound");
    return NST_OK;
}

static void print_model(void *ctx, const char *name, const char *path)
{
    (void)ctx;
    printf("%-15s %s\n", name, path);
}

static enum nst_status run(void *arguments, struct nst_err *err)
{
    const struct arguments *a = arguments;
    struct network n = {.path = NULL};
    enum nst_status st;

    if (strcmp(a->command, "list") == 0) {
        nst_list_models(print_model, NULL);
        return NST_OK;
    }
    st = load_network(&n, a->model, err);
    if (st == NST_OK)
        st = check_options(&n, a, err);
    if (st == NST_OK && !n.vgg)
        st = run_net(&n, a, err);
    else if (st == NST_OK && strcmp(a->command, "convert") == 0)
        st = convert(n.vgg, n.path, a, err);
    else if (st == NST_OK)
        st = report(n.vgg, n.path, a, err);
    nst_weights_free(n.vgg);
    nst_net_file_clear(&n.net);
    free(n.path);
    return st;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "info MODEL\nverify MODEL [PICTURE...]\nconvert MODEL -o FILE\nlist",
        "Describe or verify a network, convert one" CHECKPOINT " to safetensors, or "
        "list those installed." NO_CHECKPOINT "\vSee man nst-model.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {NULL};

    return nst_program_main(argc, argv, &argp, &a, run);
}
