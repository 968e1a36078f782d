/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/input.h"

#include <math.h>

#define TAPS 9

const struct nst_normalisation nst_input_imagenet = {{0.485f, 0.456f, 0.406f},
                                                     {0.229f, 0.224f, 0.225f}};
static const double caffe_mean[3] = {123.68, 116.779, 103.939}; /* RGB */

/* Oxford's VGG19: filters 0 and 3 of the first convolution, summed over the channels,
 * so that their order does not matter. Its biases are so small that its input of 0 to
 * 255 does not stand out among those of other networks. */
static const int oxford_filter[] = {0, 3};
static const double oxford[][TAPS] = {
    {0.322, 0.305, -0.037, 0.216, 0.079, -0.273, -0.060, -0.225, -0.327},
    {0.301, 0.214, 0.230, 0.081, -0.330, -0.077, 0.005, -0.364, -0.153}};

static bool is_oxford(const struct nst_layer_weights *l)
{
    double product = 0, own = 0, known = 0;

    for (int i = 0; i < 2 && l->cout > oxford_filter[1]; i++)
        for (int t = 0; t < TAPS; t++) {
            const float *w = l->weight + 3 * TAPS * oxford_filter[i] + t;
            double sum = (double)w[0] + w[TAPS] + w[2 * TAPS];

            product += sum * oxford[i][t];
            own += sum * sum;
            known += oxford[i][t] * oxford[i][t];
        }
    return product > 0.99 * sqrt(own * known);
}

static double channel_energy(const struct nst_layer_weights *l, int channel)
{
    double sum = 0;

    for (int k = 0; k < l->cout; k++)
        for (int t = 0; t < TAPS; t++) {
            double w = l->weight[(3 * k + channel) * TAPS + t];

            sum += w * w;
        }
    return sum;
}

/*
 * The ratio of the biases to the filters is that of the answers to a flat picture of
 * the mean colour and to one of contrast 1. It grows with the range of the input, by
 * 57 from deviations to 255 levels: in nst's range it is 0.01 (Oxford's VGG19) to 0.3
 * (torchvision's networks). Red, whose noise is less, has larger filters than blue.
 */
enum nst_input nst_input_guess(const struct nst_weights *w)
{
    const struct nst_layer_weights *l = &w->conv[0];
    double energy[3], bias = 0, limit = is_oxford(l) ? 0.1 : 1.2;

    for (int c = 0; c < 3; c++)
        energy[c] = channel_energy(l, c);
    for (int k = 0; k < l->cout; k++)
        bias += (double)l->bias[k] * l->bias[k];
    if (w->input_stated ||
        sqrt(bias) <= limit * sqrt(energy[0] + energy[1] + energy[2]))
        return NST_INPUT_RGB;
    return energy[0] > 1.1 * energy[2] ? NST_INPUT_RGB255 : NST_INPUT_BGR255;
}

const char *nst_input_text(enum nst_input input)
{
    static const char *const texts[] = {
        [NST_INPUT_RGB] = "RGB from 0 to 1, less ImageNet's mean, by its deviation",
        [NST_INPUT_BGR255] = "BGR from 0 to 255, less Caffe's mean",
        [NST_INPUT_RGB255] = "RGB from 0 to 255, less Caffe's mean"};

    return texts[input];
}

/* w (255 x - mean') = (255 deviation w) (x - mean) / deviation + w (255 mean - mean')
 */
void nst_input_convert(struct nst_weights *w, enum nst_input from)
{
    struct nst_layer_weights *l = &w->conv[0];

    for (int k = 0; k < l->cout && from != NST_INPUT_RGB; k++) {
        float *filter = l->weight + (size_t)3 * TAPS * (size_t)k;
        double bias = l->bias[k];

        for (int t = 0; t < TAPS && from == NST_INPUT_BGR255; t++) {
            float blue = filter[t];

            filter[t] = filter[2 * TAPS + t];
            filter[2 * TAPS + t] = blue;
        }
        for (int i = 0; i < 3 * TAPS; i++) {
            int c = i / TAPS;

            bias +=
                filter[i] * (255 * (double)nst_input_imagenet.mean[c] - caffe_mean[c]);
            filter[i] = (float)(filter[i] * 255.0 * nst_input_imagenet.deviation[c]);
        }
        l->bias[k] = (float)bias;
    }
    w->input_stated = true;
}
