/* SPDX-License-Identifier: MIT */
/*
 * net_reference.h - the convolution of feed-forward networks as plain loops: the
 * specification of the faster ones (see reference.h and backend/net_ops.h).
 */
#ifndef NST_KERNELS_NET_REFERENCE_H
#define NST_KERNELS_NET_REFERENCE_H

/* Of n pixels, the one that stands for pixel i of -(n - 1) to 2 n - 2: reflected at the
 * outermost pixels, which are not repeated. */
static inline int nst_reflected(int i, int n)
{
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

/*
 * How a convolution reads rows, and columns likewise: tap u, of side, of output i reads
 * the input's row reflected(stride i + u - side / 2) / zoom, of rows zoom times as
 * many.
 */
struct nst_net_geometry {
    int side, stride, zoom;
};

/*
 *   y[o][i][j] = bias[o] + sum_{c,u,v} w[o][c][u][v] x[c][row(i, u)][column(j, v)]
 * x: cin x h x w   weight: cout x cin x side x side   bias: cout or NULL
 * y: cout x yh x yw, yh = (zoom h + stride - 1) / stride
 */
void nst_net_conv_c(struct nst_net_geometry g, const float *x, const float *weight,
                    const float *bias, float *y, int cin, int cout, int h, int w);

/* Its gradients: gx, cin x h x w, and gw, cout x cin x side x side, are increased by
 * those by x and by the weights; gy is that by y. */
void nst_net_conv_grad_c(struct nst_net_geometry g, const float *gy,
                         const float *weight, float *gx, int cin, int cout, int h,
                         int w);
void nst_net_weight_grad_c(struct nst_net_geometry g, const float *gy, const float *x,
                           float *gw, int cin, int cout, int h, int w);

#endif
