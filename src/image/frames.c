/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "image/input.h"
#include "image/output.h"
#include "image/pnm.h"
#include "image/y4m.h"

struct nst_frames {
    struct nst_picture_size size;
    struct nst_input in; /* of what is no stream */
    VipsImage *roll;     /* all its frames, one below the other */
    int count, at;

    FILE *stream; /* or NULL */
    char *label;
    bool pnm; /* what the stream is; otherwise */
    struct nst_y4m y4m;
    bool pam; /* the latest frame of a pnm stream was one */
};

static enum nst_status open_stream(struct nst_frames *f, const char *path, bool pnm,
                                   struct nst_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    enum nst_status st;

    f->pnm = pnm;

    f->label = nst_xstrdup(standard ? "standard input" : path);
    f->stream = standard ? stdin : fopen(path, "re");
    if (!f->stream)
        return nst_err_set(err, NST_ERR_IO, "%s: %s", path, strerror(errno));
    f->in.label = f->label;
    if (pnm)
        return NST_OK;
    st = nst_y4m_read_header(&f->y4m, f->stream, f->label, err);
    if (st == NST_OK)
        st = nst_picture_check(f->label, f->y4m.width, f->y4m.height, &f->size, err);
    return st;
}

static enum nst_status open_animation(struct nst_frames *f, const char *path,
                                      struct nst_err *err)
{
    enum nst_status st = nst_input_open(&f->in, path, err);

    f->in.animated = true;
    if (st == NST_OK)
        st = nst_picture_decode(&f->roll, &f->in, &f->size, err);
    if (st == NST_OK)
        f->count = f->roll->Ysize / vips_image_get_page_height(f->roll);
    return st;
}

enum nst_status nst_frames_open(struct nst_frames **out, const char *path,
                                const char *stream, const struct nst_picture_size *size,
                                struct nst_err *err)
{
    struct nst_frames *f = nst_xcalloc(1, sizeof *f);
    enum nst_status st;

    f->size = *size;
    f->in.fd = -1;
    st = stream ? open_stream(f, path, strcmp(stream, "pnm") == 0, err)
                : open_animation(f, path, err);
    if (st != NST_OK) {
        nst_frames_free(f);
        f = NULL;
    }
    *out = f;
    return st;
}

void nst_frames_free(struct nst_frames *f)
{
    if (!f)
        return;
    if (f->stream && f->stream != stdin)
        fclose(f->stream);
    g_clear_object(&f->roll);
    nst_input_close(&f->in);
    free(f->label);
    free(f);
}

int nst_frames_count(const struct nst_frames *f)
{
    return f->count;
}

/* The frame rgb, of the stream's size, as a picture of the size asked for. */
static enum nst_status make_picture(const struct nst_frames *f, const float *rgb,
                                    struct nst_picture **out, struct nst_err *err)
{
    struct nst_picture *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st = NST_OK;

    p->origin = nst_xcalloc(1, sizeof *p->origin);
    p->origin->depth = f->y4m.bits > 8 ? 16 : 8;
    p->width = p->read_width = f->y4m.width;
    p->height = p->read_height = f->y4m.height;
    nst_picture_target(&f->size, &p->width, &p->height);
    if (vips_black(&p->origin->meta, 1, 1, NULL))
        st = nst_err_set(err, NST_ERR_MEM, "%s: out of memory", f->label);
    if (st == NST_OK)
        st = nst_pixels_resize(&p->rgb, rgb, f->y4m.height, f->y4m.width, p->height,
                               p->width, err);
    if (st != NST_OK) {
        nst_picture_free(p);
        p = NULL;
    }
    *out = p;
    return st;
}

static enum nst_status next_of_stream(struct nst_frames *f, struct nst_picture **out,
                                      struct nst_err *err)
{
    bool end = false;
    float *rgb;
    enum nst_status st =
        nst_floats_new(&rgb, 3, (size_t)f->y4m.height, (size_t)f->y4m.width, err);

    if (st == NST_OK)
        st = nst_y4m_read_frame(&f->y4m, f->stream, f->label, rgb, &end, err);
    if (st == NST_OK && !end)
        st = make_picture(f, rgb, out, err);
    free(rgb);
    return st;
}

static enum nst_status next_of_pnm(struct nst_frames *f, struct nst_picture **out,
                                   struct nst_err *err)
{
    VipsImage *image;
    enum nst_status st =
        nst_pnm_read(&image, &f->pam, f->stream, f->label, &f->size, err);

    if (st == NST_OK && image)
        st = nst_picture_of(out, image, &f->in, &f->size, err);
    g_clear_object(&image);
    return st;
}

enum nst_status nst_frames_next(struct nst_frames *f, struct nst_picture **out,
                                struct nst_err *err)
{
    VipsImage *frame;
    enum nst_status st;
    int h;

    *out = NULL;
    if (f->pnm)
        return next_of_pnm(f, out, err);
    if (f->stream)
        return next_of_stream(f, out, err);
    if (f->at == f->count)
        return NST_OK;
    h = vips_image_get_page_height(f->roll);
    if (f->count == 1)
        return f->at++, nst_picture_of(out, f->roll, &f->in, &f->size, err);
    if (vips_extract_area(f->roll, &frame, 0, f->at++ * h, f->roll->Xsize, h, NULL))
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", f->in.label);
    st = nst_picture_of(out, frame, &f->in, &f->size, err);
    g_object_unref(frame);
    return st;
}

struct nst_film {
    struct nst_output *to;
    const struct nst_frames *from;
    int width, height, frames;
    int bands;
    unsigned char *samples; /* of all frames; of a stream, of the latest */
    VipsImage *meta;        /* of the first frame */
};

void nst_film_new(struct nst_film **out, struct nst_output *to,
                  const struct nst_frames *from)
{
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->to = to;
    (*out)->from = from;
}

void nst_film_free(struct nst_film *f)
{
    if (!f)
        return;
    g_clear_object(&f->meta);
    free(f->samples);
    free(f);
}

static enum nst_status add_to_pnm(struct nst_film *f, const struct nst_picture *like,
                                  const float *rgb, struct nst_err *err)
{
    const char *suffix = f->from->pam ? ".pam" : ".ppm";
    void *data;
    size_t size;
    enum nst_status st = nst_output_bytes(f->to, suffix, like, rgb, &data, &size, err);

    if (st == NST_OK)
        st = nst_place_add(f->to->place, data, size, err);
    g_free(data);
    return st;
}

static enum nst_status add_to_stream(struct nst_film *f, const float *rgb,
                                     struct nst_err *err)
{
    const struct nst_y4m *y = &f->from->y4m;
    size_t size = nst_y4m_bytes(y, f->width, f->height);
    char header[NST_Y4M_LINE + 64];
    enum nst_status st = NST_OK;

    if (f->frames == 0) {
        f->samples = nst_xcalloc(size, 1);
        nst_y4m_header(y, f->width, f->height, header, sizeof header);
        st = nst_place_add(f->to->place, header, strlen(header), err);
    }
    nst_y4m_write_frame(y, rgb, f->width, f->height, f->samples);
    if (st == NST_OK)
        st = nst_place_add(f->to->place, "FRAME\n", 6, err);
    if (st == NST_OK)
        st = nst_place_add(f->to->place, f->samples, size, err);
    return st;
}

static size_t frame_bytes(const struct nst_film *f)
{
    return (size_t)f->width * (size_t)f->height * (size_t)f->bands;
}

static enum nst_status add_to_roll(struct nst_film *f, const struct nst_picture *like,
                                   const float *rgb, struct nst_err *err)
{
    unsigned char *more;

    if (f->frames == 0) {
        f->bands = like->origin->alpha && f->to->format->alpha ? 4 : 3;
        f->meta = g_object_ref(like->origin->meta);
    }
    more = realloc(f->samples, ((size_t)f->frames + 1) * frame_bytes(f));
    if (!more)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %d frames", f->frames + 1);
    f->samples = more;
    return nst_output_samples(f->to, like, rgb,
                              f->samples + (size_t)f->frames * frame_bytes(f), err);
}

enum nst_status nst_film_add(struct nst_film *f, const struct nst_picture *like,
                             const float *rgb, struct nst_err *err)
{
    enum nst_status st;

    f->width = like->width;
    f->height = like->height;
    st = f->from->pnm      ? add_to_pnm(f, like, rgb, err)
         : f->from->stream ? add_to_stream(f, rgb, err)
                           : add_to_roll(f, like, rgb, err);
    f->frames += st == NST_OK;
    return st;
}

/* How long each frame is shown and how often all are, as the source has it. */
static void carry_times(VipsImage *to, VipsImage *from, int frames)
{
    int *delay, n, loop;

    if (vips_image_get_typeof(from, "delay") &&
        !vips_image_get_array_int(from, "delay", &delay, &n))
        vips_image_set_array_int(to, "delay", delay, n < frames ? n : frames);
    if (vips_image_get_typeof(from, "loop") && !vips_image_get_int(from, "loop", &loop))
        vips_image_set_int(to, "loop", loop);
}

static enum nst_status write_roll(struct nst_film *f, const char *comment,
                                  struct nst_err *err)
{
    const struct nst_format *format = f->to->format;
    struct nst_picture_origin origin = {.meta = f->meta};
    VipsImage *image = vips_image_new_from_memory(
        f->samples, (size_t)f->frames * frame_bytes(f), f->width, f->height * f->frames,
        f->bands, VIPS_FORMAT_UCHAR);
    enum nst_status st = NST_OK;
    void *data = NULL;
    size_t size;

    if (!image)
        return nst_output_failed(f->to, err);
    image->Type = VIPS_INTERPRETATION_sRGB;
    nst_metadata_carry(image, &origin, false);
    nst_metadata_comment(image, format->comment, comment);
    vips_image_set_int(image, VIPS_META_PAGE_HEIGHT, f->height);
    carry_times(image, f->from->roll, f->frames);
    if (nst_output_encode(f->to, image, false, &data, &size))
        st = nst_output_failed(f->to, err);
    else
        st = nst_place_add(f->to->place, data, size, err);
    g_free(data);
    g_object_unref(image);
    return st;
}

enum nst_status nst_film_finish(struct nst_film *f, const char *comment,
                                struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (!f->from->stream)
        st = write_roll(f, comment, err);
    if (st == NST_OK)
        st = nst_place_finish(f->to->place, err);
    return st;
}
