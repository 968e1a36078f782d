/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "quality/quality.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "model/vgg.h"
#include "style/objective.h"

enum { WINDOW = 11 };
#define SIGMA 1.5
#define C1 (0.01 * 0.01)
#define C2 (0.03 * 0.03)

static double luma(const float *rgb, size_t area, size_t i)
{
    return 0.299 * rgb[i] + 0.587 * rgb[area + i] + 0.114 * rgb[2 * area + i];
}

/* Window means of a, b, a a, b b and a b. */
enum { MEANS = 5 };

/* Filter one row of the pictures with the window's row; to is MEANS x (w - 10). */
static void filter_row(const float *a, const float *b, size_t area, size_t row, int w,
                       const double *weight, double *to)
{
    int n = w - WINDOW + 1;

    for (int x = 0; x < n; x++) {
        double m[MEANS] = {0};

        for (int k = 0; k < WINDOW; k++) {
            double u = luma(a, area, row + x + k), v = luma(b, area, row + x + k);

            m[0] += weight[k] * u;
            m[1] += weight[k] * v;
            m[2] += weight[k] * u * u;
            m[3] += weight[k] * v * v;
            m[4] += weight[k] * u * v;
        }
        for (int k = 0; k < MEANS; k++)
            to[k * n + x] = m[k];
    }
}

static double ssim_index(const double m[MEANS])
{
    double aa = m[2] - m[0] * m[0], bb = m[3] - m[1] * m[1], ab = m[4] - m[0] * m[1];

    return (2 * m[0] * m[1] + C1) * (2 * ab + C2) /
           ((m[0] * m[0] + m[1] * m[1] + C1) * (aa + bb + C2));
}

enum nst_status nst_ssim(double *out, struct nst_image a, struct nst_image b,
                         struct nst_err *err)
{
    int h = a.height, w = a.width;
    int n = w - WINDOW + 1, rows = h - WINDOW + 1;
    size_t area = nst_area(h, w), line = (size_t)MEANS * (size_t)n;
    double weight[WINDOW], sum = 0, *lines;

    if (n < 1 || rows < 1)
        return nst_err_set(err, NST_ERR_FORMAT, "%dx%d pixels are too few for SSIM", w,
                           h);
    lines = malloc(WINDOW * line * sizeof *lines); /* ring buffer of the latest rows */
    if (!lines)
        return nst_err_set(err, NST_ERR_MEM, "out of memory");
    for (int k = 0; k < WINDOW; k++)
        sum += weight[k] = exp(-pow(k - WINDOW / 2, 2) / (2 * SIGMA * SIGMA));
    for (int k = 0; k < WINDOW; k++)
        weight[k] /= sum;
    *out = 0;
    for (int y = 0; y < h; y++) {
        filter_row(a.rgb, b.rgb, area, (size_t)y * w, w, weight,
                   lines + y % WINDOW * line);
        for (int x = 0; y >= WINDOW - 1 && x < n; x++) {
            double m[MEANS] = {0};

            for (int k = 0; k < WINDOW; k++)
                for (int j = 0; j < MEANS; j++)
                    m[j] += weight[k] *
                            lines[(y + 1 + k) % WINDOW * line + (size_t)(j * n + x)];
            *out += ssim_index(m);
        }
    }
    *out /= (double)n * rows;
    free(lines);
    return NST_OK;
}

double nst_psnr(struct nst_image a, struct nst_image b)
{
    size_t n = 3 * nst_area(a.height, a.width);
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a.rgb[i] - b.rgb[i]) * ((double)a.rgb[i] - b.rgb[i]);
    return 10 * log10((double)n / sum);
}

enum { BINS = 8 };

static void colour_histogram(struct nst_image image, double *bins)
{
    size_t area = nst_area(image.height, image.width);

    for (size_t i = 0; i < area; i++) {
        int at = 0;

        for (int k = 0; k < 3; k++) {
            int bin = (int)(image.rgb[k * area + i] * BINS);

            at = at * BINS + (bin < BINS ? bin : BINS - 1);
        }
        bins[at] += 1 / (double)area;
    }
}

double nst_histogram_intersection(struct nst_image a, struct nst_image b)
{
    double u[BINS * BINS * BINS] = {0}, v[BINS * BINS * BINS] = {0}, intersection = 0;

    colour_histogram(a, u);
    colour_histogram(b, v);
    for (int i = 0; i < BINS * BINS * BINS; i++)
        intersection += fmin(u[i], v[i]);
    return intersection;
}

/* Scale the features of each pixel to length 1. f is c x area; relu: apply it first. */
static void normalise_features(float *f, int c, size_t area, bool relu)
{
    for (size_t i = 0; i < area; i++) {
        double sum = 0;

        for (int k = 0; k < c; k++) {
            float *at = &f[(size_t)k * area + i];

            if (relu && *at < 0)
                *at = 0;
            sum += (double)*at * *at;
        }
        for (int k = 0; k < c; k++)
            f[(size_t)k * area + i] /= (float)(sqrt(sum) + 1e-10);
    }
}

/* Unit-length features of the picture that acts was run on. *out: free(). */
static enum nst_status unit_features(const struct nst_activations *acts,
                                     const struct nst_layer *layer, float **out,
                                     struct nst_shape *s, struct nst_err *err)
{
    struct nst_backend *be = nst_activations_backend(acts);
    bool relu;
    const struct nst_tensor *map = nst_activations_map(acts, layer, &relu);
    enum nst_status st;

    *s = map->shape;
    st = nst_floats_new(out, (size_t)s->c, (size_t)s->h, (size_t)s->w, err);
    if (st == NST_OK) {
        be->ops->tensor_download(be, map, *out);
        normalise_features(*out, s->c, nst_shape_area(*s), relu);
        st = nst_backend_error(be, err);
    }
    return st;
}

/* Run the network forward on a picture in host memory. */
static enum nst_status run_network(struct nst_activations *acts, struct nst_image image,
                                   struct nst_err *err)
{
    struct nst_backend *be = nst_activations_backend(acts);
    const struct nst_buffer *device_rgb;
    enum nst_status st = nst_backend_to_device(
        be, image.rgb, 3 * nst_area(image.height, image.width), &device_rgb, err);

    if (st == NST_OK)
        nst_vgg_forward(acts, device_rgb);
    nst_backend_release(be, device_rgb);
    return st;
}

enum nst_status nst_perceptual_distance(double *out, struct nst_session *session,
                                        struct nst_image a, struct nst_image b,
                                        struct nst_err *err)
{
    int longest = nst_longest(a.height, a.width);
    struct nst_activations *acts;
    struct nst_layers layers;
    enum nst_status st = nst_layers_parse(&layers, NST_QUALITY_STYLE_LAYERS, err);
    float *of_a[2 * NST_VGG_CONVS] = {NULL}, *of_b = NULL;

    if (st == NST_OK)
        st = nst_activations_new(&acts, nst_session_network_for(session, longest)->vgg,
                                 a.height, a.width, (const bool[NST_VGG_CONVS]){false},
                                 err);
    if (st != NST_OK)
        return st;
    *out = 0;
    st = run_network(acts, a, err);
    for (int i = 0; st == NST_OK && i < layers.count; i++) {
        struct nst_shape s;

        st = unit_features(acts, &layers.layer[i], &of_a[i], &s, err);
    }
    if (st == NST_OK)
        st = run_network(acts, b, err);
    for (int i = 0; st == NST_OK && i < layers.count; i++) {
        struct nst_shape s;
        double sum = 0;

        st = unit_features(acts, &layers.layer[i], &of_b, &s, err);
        for (size_t k = 0; st == NST_OK && k < nst_shape_count(s); k++)
            sum += ((double)of_a[i][k] - of_b[k]) * ((double)of_a[i][k] - of_b[k]);
        *out += sum / (double)nst_shape_area(s);
        free(of_b);
        of_b = NULL;
    }
    for (int i = 0; i < layers.count; i++)
        free(of_a[i]);
    nst_activations_free(acts);
    return st;
}

enum nst_status nst_held_out_losses(double *content_loss, double *style_loss,
                                    struct nst_session *s, struct nst_image content,
                                    struct nst_image result, struct nst_image style,
                                    struct nst_err *err)
{
    int longest = nst_longest(result.height, result.width);
    struct nst_style_image one = {.image = style, .weight = 1};
    struct nst_layers of_content, of_style;
    struct nst_objective_config config = {.content_layers = &of_content,
                                          .style_layers = &of_style,
                                          .content_weight = 1,
                                          .style_weight = 1,
                                          .strength = 1};
    struct nst_vgg *v = nst_session_network_for(s, longest)->vgg;
    struct nst_backend *be = nst_vgg_backend(v);
    struct nst_objective *o;
    struct nst_losses losses;
    const struct nst_buffer *device_rgb;
    enum nst_status st = nst_layers_parse(&of_content, NST_QUALITY_CONTENT_LAYERS, err);

    if (st == NST_OK)
        st = nst_layers_parse(&of_style, NST_QUALITY_STYLE_LAYERS, err);
    if (st == NST_OK)
        st = nst_objective_new(&o, v, &config, content, &(struct nst_style){&one, 1},
                               err);
    if (st != NST_OK)
        return st;
    st = nst_backend_to_device(
        be, result.rgb, 3 * nst_area(result.height, result.width), &device_rgb, err);
    if (st == NST_OK)
        nst_objective_evaluate(o, device_rgb, &losses, NULL);
    nst_backend_release(be, device_rgb);
    nst_objective_free(o);
    if (st == NST_OK)
        st = nst_backend_error(be, err);
    if (st != NST_OK)
        return st;
    *content_loss = losses.content;
    *style_loss = losses.style;
    return NST_OK;
}

double nst_mean_gradient(struct nst_image image)
{
    const float *rgb = image.rgb;
    int h = image.height, w = image.width;
    size_t area = nst_area(h, w);
    double sum = 0;

    for (int y = 0; y + 1 < h; y++)
        for (int x = 0; x + 1 < w; x++) {
            size_t i = (size_t)y * w + x;
            double at = luma(rgb, area, i);
            double dx = luma(rgb, area, i + 1) - at;
            double dy = luma(rgb, area, i + w) - at;

            sum += sqrt(dx * dx + dy * dy);
        }
    return sum / ((double)(h - 1) * (w - 1));
}
