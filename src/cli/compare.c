/* SPDX-License-Identifier: MIT */
/*
 * nst-compare - measures how close a result is to its content image and, with --style,
 * to the style image. Prints a table or one line of JSON.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/path.h"
#include "cli/program.h"
#include "nst.h"

enum { JSON_KEY = 0x100, LPIPS_KEY, HEADS_KEY };

struct arguments {
    const char *original, *result, *style, *model, *lpips, *heads;
    bool json;
};

#define MAX_PIXELS 200000000

struct pictures {
    struct nst_picture *original, *result, *style;
    float *content; /* the original, at the size of the result */
};

/* Unknown values are NaN. */
struct metrics {
    double ssim, psnr, colour, perceptual, content, style;
    struct nst_lpips lpips; /* network: NULL if not asked for */
};

static const struct argp_option options[] = {
    {"style", 's', "FILE", 0, "Style image; also prints the style distance", 0},
    {"model", 'm', "NAME|FILE", 0, "Network, as in nst", 0},
    {"lpips", LPIPS_KEY, "FILE", 0,
     "Also print LPIPS; FILE has the weights of AlexNet or VGG16 and of the heads "
     "(safetensors)",
     0},
    {"lpips-heads", HEADS_KEY, "FILE", 0, "File with the LPIPS heads, if separate", 0},
    {"json", JSON_KEY, NULL, 0, "Print one line of JSON", 0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    if (key == 's')
        a->style = arg;
    else if (key == 'm')
        a->model = arg;
    else if (key == LPIPS_KEY)
        a->lpips = arg;
    else if (key == HEADS_KEY)
        a->heads = arg;
    else if (key == JSON_KEY)
        a->json = true;
    else if (key == ARGP_KEY_ARG && !a->original)
        a->original = arg;
    else if (key == ARGP_KEY_ARG && !a->result)
        a->result = arg;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "%s: only two images can be compared", arg);
    else if (key == ARGP_KEY_END && !a->result)
        argp_error(state, "two images are required: ORIGINAL and RESULT");
    else if (key == ARGP_KEY_END && a->heads && !a->lpips)
        argp_error(state, "lpips-heads: requires --lpips");
    else if (key == ARGP_KEY_END)
        return 0;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Load the style image at the size that nst uses for a result of this size. */
static enum nst_status load_style(struct pictures *p, const char *style,
                                  struct nst_err *err)
{
    const struct nst_picture *r = p->result;
    const struct nst_picture_size size = {nst_longest(r->height, r->width),
                                          .max_pixels = MAX_PIXELS};
    char *file = nst_find_style(style);
    enum nst_status st;

    if (file) {
        bool net = nst_has_suffix(file, NST_NET_SUFFIX);

        free(file);
        return nst_err_set(err, NST_ERR_ARG,
                           "style '%s': is a %s, which lacks the layers compared; name "
                           "an image",
                           style, net ? "network" : "style pack");
    }
    st = nst_picture_load(&p->style, style, &size, err);
    nst_picture_flatten(p->style, NST_WHITE);
    return st;
}

static enum nst_status load(struct pictures *p, const struct arguments *a,
                            struct nst_err *err)
{
    const struct nst_picture_size native = {.max_pixels = MAX_PIXELS};
    enum nst_status st = nst_picture_load(&p->original, a->original, &native, err);

    if (st == NST_OK)
        st = nst_picture_load(&p->result, a->result, &native, err);
    if (st == NST_OK && a->style)
        st = load_style(p, a->style, err);
    if (st == NST_OK)
        st = nst_pixels_resize(&p->content, nst_picture_image(p->original),
                               p->result->height, p->result->width, err);
    return st;
}

/* From a list of models, choose the one for pictures of that longest side. */
static enum nst_status choose_model(struct nst_params *p, const char *models,
                                    int longest, struct nst_err *err)
{
    struct nst_models m;
    enum nst_status st = nst_models_parse(&m, models, err);

    if (st == NST_OK) {
        nst_models_drop_missing(&m);
        if (m.model[0].name)
            p->model = nst_xstrdup(m.model[nst_models_for_size(&m, longest)].name);
    }
    nst_models_clear(&m);
    return st;
}

static enum nst_status open_network(struct nst_session **e, const char *models,
                                    int longest, struct nst_err *err)
{
    struct nst_params p;
    enum nst_status st;

    nst_params_init(&p);
    st = choose_model(&p, models, longest, err);
    if (st == NST_OK)
        st = nst_params_set(&p, "style-layers", NST_QUALITY_STYLE_LAYERS, err);
    if (st == NST_OK)
        st = nst_params_set(&p, "padding", "zero", err);
    if (st == NST_OK)
        st = nst_session_new(e, &p, err);
    nst_params_clear(&p);
    return st;
}

static enum nst_status compute_metrics(struct metrics *f, const struct arguments *args,
                                       const struct pictures *p, struct nst_session *s,
                                       struct nst_err *err)
{
    const struct nst_picture *style = p->style ? p->style : p->original;
    struct nst_image b = nst_picture_image(p->result);
    struct nst_image a = {p->content, b.height, b.width};
    enum nst_status st = nst_ssim(&f->ssim, a, b, err);

    f->psnr = nst_psnr(a, b);
    f->colour = nst_histogram_intersection(a, b);
    if (st == NST_OK)
        st = nst_perceptual_distance(&f->perceptual, s, a, b, err);
    if (st == NST_OK)
        st = nst_held_out_losses(&f->content, &f->style, s, a, b,
                                 nst_picture_image(style), err);
    if (!p->style)
        f->style = NAN;
    if (st == NST_OK && args->lpips)
        st = nst_lpips(&f->lpips, s, args->lpips, args->heads, a, b, err);
    return st;
}

/* One number to sort by: how much of the content image is left, not how well it is
 * painted. Each part is 1 for equal pictures; the perceptual distance sums four
 * layers. */
static double overall_score(const struct metrics *f)
{
    double seen = 1 - f->perceptual / 4;

    return 0.4 * f->ssim + 0.3 * (seen > 0 ? seen : 0) + 0.3 * f->colour;
}

static json_t *json_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void print_json(const struct metrics *f, const char *model)
{
    json_t *j =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "overall",
                  json_number(overall_score(f)), "ssim", json_number(f->ssim), "psnr",
                  json_number(f->psnr), "colour_consistency", json_number(f->colour),
                  "perceptual_distance", json_number(f->perceptual), "content_distance",
                  json_number(f->content), "style_distance", json_number(f->style),
                  "model", model);

    if (f->lpips.network)
        json_object_set_new(j, "lpips",
                            json_pack("{s:s, s:o}", "network", f->lpips.network,
                                      "distance", json_number(f->lpips.distance)));
    nst_print_json(j, 9);
    json_decref(j);
}

static void print_table(const struct metrics *f, const char *model)
{
    printf("SSIM                  %.4f\n", f->ssim);
    printf("PSNR                  %.2f dB\n", f->psnr);
    printf("colour consistency    %.4f\n", f->colour);
    printf("perceptual distance   %.4f\n", f->perceptual);
    printf("content distance      %.4g\n", f->content);
    if (!isnan(f->style))
        printf("style distance        %.4g\n", f->style);
    if (f->lpips.network)
        printf("LPIPS (%s)%*s%.4f\n", f->lpips.network,
               14 - (int)strlen(f->lpips.network), "", f->lpips.distance);
    printf("overall score         %.4f\n", overall_score(f));
    printf("model                 %s\n", model);
}

static enum nst_status compare(void *arguments, struct nst_err *err)
{
    const struct arguments *a = arguments;
    struct pictures p = {NULL};
    struct nst_session *s = NULL;
    struct metrics f = {.lpips = {.network = NULL}};
    enum nst_status st = load(&p, a, err);

    if (st == NST_OK)
        st = open_network(&s, a->model,
                          p.result->height > p.result->width ? p.result->height
                                                             : p.result->width,
                          err);
    if (st == NST_OK)
        st = compute_metrics(&f, a, &p, s, err);
    if (st == NST_OK)
        (a->json ? print_json : print_table)(&f, nst_session_network_at(s, 0)->name);
    nst_session_free(s);
    nst_picture_free(p.original);
    nst_picture_free(p.result);
    nst_picture_free(p.style);
    free(p.content);
    return st;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "ORIGINAL RESULT",
        "Measure how similar a result is to the image it was made from. The original "
        "is resized to the size of the result.\vSee man nst-compare.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {NULL};

    return nst_program_main(argc, argv, &argp, &a, compare);
}
