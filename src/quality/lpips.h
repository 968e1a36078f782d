/* SPDX-License-Identifier: MIT */
/*
 * lpips.h - LPIPS 0.1, the learned perceptual distance of Zhang, Isola, Efros,
 * Shechtman and Wang 2018, with the authors' weights: features of a network are scaled
 * to length 1 at each pixel; a linear head for each of five layers weights their
 * squared differences, which are averaged over pixels and summed.
 *
 * The weights are safetensors with torchvision's names (features.N.weight and .bias)
 * for an AlexNet or a VGG16, and with the authors' names (linN.model.1.weight) for the
 * heads, in one file or two. The first convolution tells the two networks apart.
 */
#ifndef NST_QUALITY_LPIPS_H
#define NST_QUALITY_LPIPS_H

#include "base/image.h"
#include "session/session.h"

struct nst_lpips {
    double distance;
    const char *network; /* "alex" or "vgg" */
};

/*
 * Distance between a and b, of the same size, computed on the device of s. heads is
 * NULL if the file of the network contains them. NST_ERR_IO,
 * NST_ERR_ARG, NST_ERR_FORMAT (messages begin with the path; also pictures too small),
 * NST_ERR_MEM.
 */
enum nst_status nst_lpips(struct nst_lpips *out, struct nst_session *s,
                          const char *network, const char *heads, struct nst_image a,
                          struct nst_image b, struct nst_err *err);

#endif
