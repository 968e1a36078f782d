/* SPDX-License-Identifier: MIT */
/*
 * nst-style - style packs: made from pictures, mixed, listed, and told about.
 */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/program.h"
#include "nst.h"

enum { JSON_KEY = 0x100, SCALES_KEY, LAYERS_KEY, FROM_KEY };

/* The layers of the default recipe and of the preset gatys. */
#define LAYERS                                                                         \
    "conv_1,conv_2,conv_3,conv_4,conv_5,relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
#define SCALES "128,256,512,1024"

struct arguments {
    const char *command, *output, *from;
    struct nst_params p; /* styles, model, scales, layers */
    bool json;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The pack to write (pack, blend)", 0},
    {"model", 'm', "NAME|FILE", 0, "The network, as of nst (pack)", 0},
    {"scales", SCALES_KEY, "LIST", 0,
     "Sizes of the pictures, in pixels, that statistics are taken at (pack; "
     "default: " SCALES ")",
     0},
    {"style-layers", LAYERS_KEY, "LIST", 0,
     "Layers that they are taken of (pack; default: " LAYERS ")", 0},
    {"from", FROM_KEY, "TEXT", 0,
     "What the pack says it is made of (pack, blend; default: the names)", 0},
    {"json", JSON_KEY, NULL, 0, "Print one line of JSON (info)", 0},
    {0}};

static void set(struct argp_state *state, const char *name, const char *text)
{
    struct arguments *a = state->input;
    struct nst_err err;

    if (nst_params_set(&a->p, name, text, &err) == NST_OK)
        return;
    fprintf(stderr, "nst-style: %s\n", err.text);
    exit(NST_PROGRAM_USAGE);
}

static bool ends_as_pack(const char *name)
{
    size_t n = strlen(name), e = strlen(NST_PACK_ENDING);

    return n > e && strcmp(name + n - e, NST_PACK_ENDING) == 0;
}

static void check(struct argp_state *state)
{
    struct arguments *a = state->input;
    const char *command = a->command ? a->command : "";
    bool makes = strcmp(command, "pack") == 0 || strcmp(command, "blend") == 0;

    if (!makes && strcmp(command, "info") != 0 && strcmp(command, "list") != 0)
        argp_error(state, "'%s' is not a command: pack, blend, info or list", command);
    if (makes && !a->output)
        argp_error(state, "%s: needs -o FILE", command);
    if (makes && strcmp(a->output, "-") != 0 && !ends_as_pack(a->output))
        argp_error(state,
                   "output: '%s' does not end in " NST_PACK_ENDING
                   ", by which nst knows a pack",
                   a->output);
    if (strcmp(command, "list") == 0 ? a->p.styles.count : !a->p.styles.count)
        argp_error(state, "%s: %s", command,
                   a->p.styles.count ? "takes no names" : "needs a picture or a pack");
    if (strcmp(command, "info") == 0 && a->p.styles.count > 1)
        argp_error(state, "info: tells about one pack");
    if (!a->p.scales.count)
        argp_error(state, "scales: needs numbers");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    if (key == 'o')
        a->output = arg;
    else if (key == 'm')
        set(state, "model", arg);
    else if (key == SCALES_KEY)
        set(state, "scales", arg);
    else if (key == LAYERS_KEY)
        set(state, "style-layers", arg);
    else if (key == FROM_KEY)
        a->from = arg;
    else if (key == JSON_KEY)
        a->json = true;
    else if (key == ARGP_KEY_ARG && !a->command)
        a->command = arg;
    else if (key == ARGP_KEY_ARG)
        set(state, "style", arg);
    else if (key == ARGP_KEY_END)
        check(state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* The styles' weights, as parts of their sum. */
static double share(const struct nst_styles *s, int i)
{
    double sum = 0;

    for (int k = 0; k < s->count; k++)
        sum += s->of[k].weight;
    return s->of[i].weight / sum;
}

/* What was asked for, or the names without directories, with commas between them. */
static char *names_of(const struct arguments *a)
{
    const struct nst_styles *s = &a->p.styles;
    char *all = nst_xstrdup("");

    if (a->from) {
        free(all);
        return nst_xstrdup(a->from);
    }
    for (int i = 0; i < s->count; i++) {
        const char *slash = strrchr(s->of[i].file, '/');
        char *longer = nst_xasprintf("%s%s%s", all, i ? ", " : "",
                                     slash ? slash + 1 : s->of[i].file);

        free(all);
        all = longer;
    }
    return all;
}

static int longest(const struct nst_picture *p)
{
    return p->height > p->width ? p->height : p->width;
}

/* The sizes asked for that the pictures have; a picture's own stands for those that it
 * has not, if it is well above the last. */
static int sizes_of(const struct nst_list *asked, struct nst_picture *const *picture,
                    int count, int size[NST_PACK_SIZES])
{
    int most = longest(picture[0]), n = 0;

    for (int i = 1; i < count; i++)
        most = longest(picture[i]) < most ? longest(picture[i]) : most;
    for (int i = 0; i < asked->count && asked->value[i] <= most; i++)
        size[n++] = (int)asked->value[i];
    if (n < asked->count && (n == 0 || most > size[n - 1] * 5 / 4))
        size[n++] = most;
    return n;
}

/* Mirrored pixels on each side, which the network sees where the picture ends, as with
 * --padding reflect. */
#define BORDER 32

/* One picture at one size, seen through one network. */
static enum nst_status add_picture(struct nst_pack *pack, struct nst_vgg *v,
                                   const struct nst_taps *layers, int size,
                                   const struct nst_picture *p, double part,
                                   struct nst_err *err)
{
    double factor = (double)nst_pack_size(pack, size) / longest(p);
    int h = (int)lround(p->height * factor), w = (int)lround(p->width * factor);
    float *rgb, *extended = NULL;
    enum nst_status st;

    h = h < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : h;
    w = w < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : w;
    st = nst_pixels_resize(&rgb, p->rgb, p->height, p->width, h, w, err);
    if (st == NST_OK)
        st = nst_pixels_extend(&extended, rgb, 3, h, w, BORDER, true, err);
    if (st == NST_OK)
        st = nst_pack_add(pack, v, layers, size, extended, h + 2 * BORDER,
                          w + 2 * BORDER, BORDER, part, err);
    free(extended);
    free(rgb);
    return st;
}

/* All pictures, seen through the network with one kind of pooling. */
static enum nst_status add_pictures(struct nst_pack **pack, struct arguments *a,
                                    const char *pooling,
                                    struct nst_picture *const *picture,
                                    struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    int size[NST_LIST_MAX], sizes = sizes_of(&a->p.scales, picture, s->count, size);
    struct nst_engine *e = NULL;
    enum nst_status st = nst_params_set(&a->p, "pooling", pooling, err);

    if (st == NST_OK)
        st = nst_engine_new(&e, &a->p, err);
    if (st == NST_OK && !*pack) {
        char *names = names_of(a);

        *pack = nst_pack_new(nst_engine_model_name(e), size, sizes, names);
        free(names);
    }
    for (int i = 0; st == NST_OK && i < s->count; i++)
        for (int k = 0; st == NST_OK && k < sizes; k++)
            st = add_picture(*pack, nst_engine_network(e), &a->p.style_layers, k,
                             picture[i], share(s, i), err);
    nst_engine_free(e);
    return st;
}

/* Layers below the first pooling are the same for both kinds of it. */
static struct nst_taps above_pooling(const struct nst_taps *layers)
{
    struct nst_taps above = {0};

    for (int i = 0; i < layers->count; i++)
        if (layers->tap[i].conv > 1)
            above.tap[above.count++] = layers->tap[i];
    return above;
}

static enum nst_status make_pack(struct arguments *a, struct nst_err *err)
{
    const struct nst_picture_size native = {.max_pixels = 200000000};
    struct nst_picture *picture[NST_STYLES_MAX] = {NULL};
    struct nst_pack *pack = NULL;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < a->p.styles.count; i++)
        st = nst_spare_input(a->output, a->p.styles.of[i].file, err);
    for (int i = 0; st == NST_OK && i < a->p.styles.count; i++)
        st = nst_picture_load(&picture[i], a->p.styles.of[i].file, &native, err);
    for (int i = 0; i < a->p.styles.count; i++)
        nst_picture_flatten(picture[i], NST_WHITE);
    if (st == NST_OK)
        st = add_pictures(&pack, a, "max", picture, err);
    a->p.style_layers = above_pooling(&a->p.style_layers);
    if (st == NST_OK && a->p.style_layers.count)
        st = add_pictures(&pack, a, "avg", picture, err);
    if (st == NST_OK)
        st = nst_pack_save(pack, a->output, err);
    nst_pack_free(pack);
    for (int i = 0; i < a->p.styles.count; i++)
        nst_picture_free(picture[i]);
    return st;
}

/* The pack called name, which is not to be written over. */
static enum nst_status load(struct nst_pack **out, const struct arguments *a,
                            const char *name, struct nst_err *err)
{
    char *path = nst_search_pack(name);
    enum nst_status st;

    *out = NULL;
    if (!path)
        return nst_err_set(err, NST_ERR_IO, "'%s': no style pack has this name", name);
    st = nst_spare_input(a->output, path, err);
    if (st == NST_OK)
        st = nst_pack_load(out, path, err);
    free(path);
    return st;
}

static enum nst_status blend(struct arguments *a, struct nst_err *err)
{
    const struct nst_styles *s = &a->p.styles;
    struct nst_pack *from[NST_STYLES_MAX] = {NULL}, *pack = NULL;
    int size[NST_PACK_SIZES], sizes = 0;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < s->count; i++) {
        st = load(&from[i], a, s->of[i].file, err);
        if (st == NST_OK && i > 0)
            st = nst_pack_match(from[0], from[i], err);
    }
    if (st == NST_OK) {
        char *names = names_of(a);

        while ((size[sizes] = nst_pack_size(from[0], sizes)) &&
               ++sizes < NST_PACK_SIZES)
            ;
        pack = nst_pack_new(nst_pack_model(from[0]), size, sizes, names);
        free(names);
    }
    for (int i = 0; i < s->count; i++) {
        if (st == NST_OK)
            st = nst_pack_add_pack(pack, from[i], share(s, i), err);
        nst_pack_free(from[i]);
    }
    if (st == NST_OK)
        st = nst_pack_save(pack, a->output, err);
    nst_pack_free(pack);
    return st;
}

static json_t *layer_json(const struct nst_tap *tap, int channels, uint64_t fingerprint)
{
    struct nst_taps one = {1, {*tap}};
    char name[16], hash[20];

    nst_taps_format(&one, name, sizeof name);
    snprintf(hash, sizeof hash, "%016" PRIx64, fingerprint);
    return json_pack("{s:s, s:i, s:s}", "layer", name, "channels", channels,
                     "fingerprint", hash);
}

static json_t *pack_json(const struct nst_pack *p)
{
    json_t *sizes = json_array(), *layers = json_array();
    uint64_t fingerprint;
    struct nst_tap tap;
    int channels;

    for (int i = 0; nst_pack_size(p, i); i++)
        json_array_append_new(sizes, json_integer(nst_pack_size(p, i)));
    for (int i = 0; nst_pack_layer(p, i, &tap, &channels, &fingerprint); i++)
        json_array_append_new(layers, layer_json(&tap, channels, fingerprint));
    return json_pack("{s:s, s:s, s:o, s:o}", "from", nst_pack_from(p), "model",
                     nst_pack_model(p), "scales", sizes, "layers", layers);
}

static void print_table(const json_t *j)
{
    const json_t *value;
    size_t i;

    printf("from     %s\n", json_string_value(json_object_get(j, "from")));
    printf("model    %s\n", json_string_value(json_object_get(j, "model")));
    printf("scales  ");
    json_array_foreach(json_object_get(j, "scales"), i, value)
        printf(" %" JSON_INTEGER_FORMAT, json_integer_value(value));
    putchar('\n');
    json_array_foreach(json_object_get(j, "layers"), i, value)
        printf("layer    %s, %" JSON_INTEGER_FORMAT " channels, network %s\n",
               json_string_value(json_object_get(value, "layer")),
               json_integer_value(json_object_get(value, "channels")),
               json_string_value(json_object_get(value, "fingerprint")));
}

static enum nst_status info(const struct arguments *a, struct nst_err *err)
{
    struct nst_pack *p;
    enum nst_status st = load(&p, a, a->p.styles.of[0].file, err);
    json_t *j;

    if (st != NST_OK)
        return st;
    j = pack_json(p);
    if (a->json)
        nst_print_json(j, 9);
    else
        print_table(j);
    json_decref(j);
    nst_pack_free(p);
    return NST_OK;
}

static int is_pack(const struct dirent *d)
{
    return ends_as_pack(d->d_name);
}

/* The packs of a folder; those that cannot be read say why. */
static void list_folder(char *folder)
{
    struct dirent **found;
    int n = folder ? scandir(folder, &found, is_pack, alphasort) : -1;

    for (int i = 0; i < n; i++) {
        char *path = nst_xasprintf("%s/%s", folder, found[i]->d_name);
        int length = (int)(strlen(found[i]->d_name) - strlen(NST_PACK_ENDING));
        struct nst_pack *p;
        struct nst_err err;

        if (nst_pack_load(&p, path, &err) == NST_OK)
            printf("%-15.*s %s (%s)\n", length, found[i]->d_name, nst_pack_from(p),
                   nst_pack_model(p));
        else
            printf("%-15.*s %s\n", length, found[i]->d_name, err.text);
        nst_pack_free(p);
        free(path);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    free(folder);
}

static enum nst_status list(void)
{
    list_folder(nst_search_user("XDG_DATA_HOME", ".local/share", "styles"));
    list_folder(nst_search_data("styles"));
    return NST_OK;
}

static enum nst_status run(void *arguments, struct nst_err *err)
{
    struct arguments *a = arguments;

    if (strcmp(a->command, "pack") == 0)
        return make_pack(a, err);
    if (strcmp(a->command, "blend") == 0)
        return blend(a, err);
    return strcmp(a->command, "info") == 0 ? info(a, err) : list();
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "pack STYLE[:WEIGHT]... -o FILE\nblend PACK[:WEIGHT]... -o FILE\ninfo "
        "PACK\nlist",
        "Make style packs, which are used in place of style pictures (nst -s NAME), "
        "from "
        "pictures or from other packs; tell about one; list those that nst finds.\v"
        "The manual: man nst-style.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {NULL};
    int status;

    nst_params_init(&a.p);
    if (nst_params_set(&a.p, "scales", SCALES, NULL) != NST_OK ||
        nst_params_set(&a.p, "style-layers", LAYERS, NULL) != NST_OK)
        abort();
    status = nst_program(argc, argv, &argp, &a, run);
    nst_params_clear(&a.p);
    return status;
}
