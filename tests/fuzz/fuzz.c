/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c - runs the parser named by NST_FUZZ under libFuzzer. No input may make it
 * crash, leak or hang. See tests/fuzz/run.sh.
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fuzz_serve.h"
#include "cli/import/pth.h"
#include "image/load.h"
#include "image/save.h"
#include "image/pnm.h"
#include "image/y4m.h"
#include "model/weights.h"
#include "net/net_file.h"
#include "options/params.h"
#include "options/preset.h"
#include "record/history.h"
#include "style/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void y4m(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct nst_y4m y;
    struct nst_err err;
    bool end = false;
    float *rgb;

    if (!f)
        return;
    if (nst_y4m_read_header(&y, f, "fuzz", &err) == NST_OK && y.width < 200 &&
        y.height < 200 &&
        nst_floats_new(&rgb, 3, (size_t)y.height, (size_t)y.width, &err) == NST_OK) {
        unsigned char *frame = malloc(nst_y4m_frame_bytes(&y, y.width, y.height));
        char header[NST_Y4M_LINE + 64];

        nst_y4m_format_header(&y, y.width, y.height, header, sizeof header);
        while (!end && nst_y4m_read_frame(&y, f, "fuzz", rgb, &end, &err) == NST_OK)
            if (!end)
                nst_y4m_write_frame(&y, (struct nst_image){rgb, y.height, y.width},
                                    frame);
        free(frame);
        free(rgb);
    }
    fclose(f);
}

static void pnm(const char *path)
{
    const struct nst_picture_size size = {.max_pixels = 40000};
    FILE *f = fopen(path, "rb");
    VipsImage *image = NULL;
    bool pam;

    if (!f)
        return;
    while (nst_pnm_read(&image, &pam, f, "fuzz", &size, NULL) == NST_OK && image) {
        void *data;
        size_t written;

        nst_pnm_write_pam(image, &data, &written);
        g_free(data);
        g_clear_object(&image);
    }
    fclose(f);
}

static void safetensors(const char *path)
{
    struct nst_weights *w;
    struct nst_err err;

    if (nst_weights_load(&w, path, 3, &err) == NST_OK)
        nst_weights_free(w);
}

static void pth(const char *path)
{
    struct nst_weights *w;
    struct nst_net_weights net;
    struct nst_err err;

    (void)!nst_pth_load(&w, &net, path, &err);
    nst_weights_free(w);
    nst_net_weights_clear(&net);
}

static void net(const char *path)
{
    struct nst_net_file f;
    struct nst_err err;

    (void)!nst_net_file_load(&f, path, &err);
    nst_net_file_clear(&f);
}

static void pack(const char *path)
{
    struct nst_pack *p;
    struct nst_err err;

    if (nst_pack_load(&p, path, &err) == NST_OK)
        nst_pack_free(p);
}

static void preset(const char *path)
{
    struct nst_params p;
    struct nst_err err;

    nst_params_init(&p);
    (void)!nst_preset_apply(&p, path, &err);
    nst_params_clear(&p);
}

static void history(const char *path)
{
    struct nst_history h;
    struct nst_err err;

    (void)!nst_history_read(&h, path, &err);
    nst_history_clear(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        void (*parse)(const char *path);
    } parsers[] = {
        {"y4m", y4m},        {"pnm", pnm},          {"safetensors", safetensors},
        {"pth", pth},        {"pack", pack},        {"net", net},
        {"preset", preset},  {"history", history},  {"request", fuzz_request},
        {"kind", fuzz_kind}, {"strip", fuzz_strip}, {"multipart", fuzz_multipart}};
    const char *name = getenv("NST_FUZZ");
    char path[64];
    int fd = memfd_create("fuzz", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < sizeof parsers / sizeof *parsers; i++)
        if (name && strcmp(parsers[i].name, name) == 0)
            parsers[i].parse(path);
    close(fd);
    return 0;
}
