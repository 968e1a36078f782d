/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/crop.h"

#include <stdbool.h>
#include <stddef.h>

/* Standard deviation of the noise: of a crop at most, and of a moved picture. */
#define CROP_NOISE 0.02
#define MOVED_NOISE 0.02

static float clamped(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : (float)x;
}

/* Pixels of the source, and their weights, that make one pixel of a line: those within
 * one pixel of either line, whichever is larger. */
#define MAX_TAPS 32

struct taps {
    int first, count;
    float weight[MAX_TAPS];
};

/* Pixel i of size, of side pixels from start on, of n. */
static struct taps taps_of(int i, int size, double start, double side, int n)
{
    double scale = side / size, centre = start + (i + 0.5) * scale - 0.5;
    double reach = scale > 1 ? scale : 1, sum = 0;
    struct taps t = {.first = (int)ceil(centre - reach)};

    for (int k = t.first; k <= (int)floor(centre + reach) && t.count < MAX_TAPS; k++)
        sum += t.weight[t.count++] = (float)(1 - fabs(k - centre) / reach);
    for (int k = 0; k < t.count; k++)
        t.weight[k] /= (float)sum;
    if (t.first < 0 || t.first + t.count > n) { /* at a border: the nearest pixel */
        int k = (int)lround(centre);

        t = (struct taps){k < 0 ? 0 : k > n - 1 ? n - 1 : k, 1, {1}};
    }
    return t;
}

/* One pixel of the resized crop, 0 to 255. */
static void resample(const struct nst_photo *p, const struct taps *y,
                     const struct taps *x, float rgb[3])
{
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int i = 0; i < y->count; i++) {
        const unsigned char *from =
            p->rgb + ((size_t)(y->first + i) * p->width + x->first) * 3;
        float row[3] = {0};

        for (int j = 0; j < x->count; j++, from += 3)
            for (int c = 0; c < 3; c++)
                row[c] += x->weight[j] * from[c];
        for (int c = 0; c < 3; c++)
            rgb[c] += y->weight[i] * row[c];
    }
}

static void add_noise(float *rgb, int size, double deviation, struct nst_random *r)
{
    for (size_t i = 0; i < 3 * (size_t)size * (size_t)size; i++)
        rgb[i] = clamped(rgb[i] + deviation * nst_random_normal(r));
}

/* Other contrast and brightness, or another curve, as in the dark. */
static void change_tones(float *rgb, int size, struct nst_random *r)
{
    double contrast = nst_random_between(r, 0.7, 1.25),
           brightness = nst_random_between(r, -0.1, 0.1),
           gamma = nst_random_below(r, 4) ? 1 : nst_random_between(r, 0.7, 2.2);

    for (size_t i = 0; i < 3 * (size_t)size * (size_t)size; i++)
        rgb[i] = clamped((pow(rgb[i], gamma) - 0.5) * contrast + 0.5 + brightness);
}

void nst_crop_photo(const struct nst_photo *photo, int size, struct nst_random *r,
                    float *rgb)
{
    int shorter = photo->height < photo->width ? photo->height : photo->width;
    double side = shorter > size
                      ? size * pow((double)shorter / size, nst_random_between(r, 0, 1))
                      : shorter;
    double top = nst_random_between(r, 0, photo->height - side),
           left = nst_random_between(r, 0, photo->width - side);
    bool mirrored = nst_random_below(r, 2), toned = nst_random_below(r, 2),
         noisy = nst_random_below(r, 4) == 0;
    size_t area = (size_t)size * (size_t)size;

    for (int j = 0; j < size; j++) {
        struct taps x = taps_of(j, size, left, side, photo->width);
        int column = mirrored ? size - 1 - j : j;

        for (int i = 0; i < size; i++) {
            struct taps y = taps_of(i, size, top, side, photo->height);
            float pixel[3];

            resample(photo, &y, &x, pixel);
            for (size_t c = 0; c < 3; c++)
                rgb[c * area + (size_t)i * size + column] = pixel[c] / 255;
        }
    }
    if (toned)
        change_tones(rgb, size, r);
    if (noisy)
        add_noise(rgb, size, nst_random_between(r, 0, CROP_NOISE), r);
}

void nst_crop_synthetic(int size, struct nst_random *r, float *rgb)
{
    double from[3], to[3], angle = nst_random_between(r, 0, 6.2832);
    bool flat = nst_random_below(r, 3) == 0, noisy = nst_random_below(r, 2);

    for (int c = 0; c < 3; c++) {
        from[c] = nst_random_between(r, 0, 1);
        to[c] = flat ? from[c] : nst_random_between(r, 0, 1);
    }
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) {
                double along = 0.5 + ((i + 0.5) / size - 0.5) * sin(angle) * 0.7 +
                               ((j + 0.5) / size - 0.5) * cos(angle) * 0.7;

                *rgb++ = clamped(from[c] + (to[c] - from[c]) * along);
            }
    if (noisy)
        add_noise(rgb - 3 * (size_t)size * (size_t)size, size,
                  nst_random_between(r, 0, CROP_NOISE), r);
}

void nst_crop_move(const float *rgb, int size, int down, int right,
                   struct nst_random *r, float *moved)
{
    for (int c = 0; c < 3; c++, rgb += (size_t)size * (size_t)size)
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) {
                int row = i < down ? 0 : i - down, column = j < right ? 0 : j - right;

                *moved++ = clamped(rgb[(size_t)row * size + column] +
                                   MOVED_NOISE * nst_random_normal(r));
            }
}
