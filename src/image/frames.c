/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"
#include "image/colour.h"
#include "image/decode.h"
#include "image/input.h"
#include "image/load_internal.h"
#include "image/pixels.h"
#include "image/pnm.h"
#include "image/save_internal.h"
#include "image/size.h"
#include "image/y4m.h"

/* Bytes per pixel that an animation takes until it is encoded: four samples, and what
 * the encoder adds, measured with GIF and WebP of libvips 8.14. */
#define COLLECTED_BYTES 5
/* Interval of the calls of stop() while a stream has no data. */
#define STOP_POLL_MS 50

struct nst_frame_reader {
    struct nst_picture_size size;
    struct nst_input in; /* an animation or a picture */
    VipsImage *frames;   /* one below the other, not yet decoded */
    size_t frame_bytes;  /* memory that reading one takes */
    int count, next;

    FILE *stream; /* reads fd; or NULL */
    int fd;
    bool (*stop)(void *ctx); /* or NULL */
    void *stop_ctx;
    char *label;
    bool pnm; /* a PNM stream; otherwise Y4M */
    struct nst_y4m y4m;
};

static bool should_stop(const struct nst_frame_reader *f)
{
    return f->stop && f->stop(f->stop_ctx);
}

/* Read from the stream; another program may take any time to write to it. */
static ssize_t read_stream(void *reader, char *to, size_t size)
{
    const struct nst_frame_reader *f = reader;
    struct pollfd p = {f->fd, POLLIN, 0};

    while (poll(&p, 1, STOP_POLL_MS) <= 0)
        if (should_stop(f)) {
            errno = ECANCELED;
            return -1;
        }
    return read(f->fd, to, size);
}

static int close_stream(void *reader)
{
    const struct nst_frame_reader *f = reader;

    return f->fd == STDIN_FILENO ? 0 : close(f->fd);
}

static enum nst_status open_stream(struct nst_frame_reader *f, const char *path,
                                   bool pnm, struct nst_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    enum nst_status st;

    f->pnm = pnm;

    f->label = nst_xstrdup(standard ? "standard input" : path);
    f->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (f->fd < 0)
        return nst_err_set(err, nst_open_status(errno), "%s: %s", path,
                           strerror(errno));
    f->stream = fopencookie(
        f, "r", (cookie_io_functions_t){.read = read_stream, .close = close_stream});
    if (!f->stream) {
        close_stream(f);
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", path);
    }
    f->in.label = f->label;
    if (pnm)
        return NST_OK;
    st = nst_y4m_read_header(&f->y4m, f->stream, f->label, err);
    /* encoders refuse frames whose chroma planes are cut off at the border */
    f->size.multiple_width = f->y4m.subsample_x;
    f->size.multiple_height = f->y4m.subsample_y;
    if (st == NST_OK)
        st = nst_picture_check_size(f->label, f->y4m.width, f->y4m.height, &f->size,
                                    err);
    return st;
}

static enum nst_status open_animation(struct nst_frame_reader *f, const char *path,
                                      struct nst_err *err)
{
    enum nst_status st = nst_input_open(&f->in, path, err);

    f->in.animated = true;
    if (st == NST_OK)
        st =
            nst_picture_open_frames(&f->frames, &f->frame_bytes, &f->in, &f->size, err);
    if (st == NST_OK)
        f->count = f->frames->Ysize / vips_image_get_page_height(f->frames);
    return st;
}

enum nst_status nst_frame_reader_open(struct nst_frame_reader **out, const char *path,
                                      const char *stream,
                                      const struct nst_picture_size *size,
                                      struct nst_err *err)
{
    struct nst_frame_reader *f = nst_xcalloc(1, sizeof *f);
    enum nst_status st;

    f->size = *size;
    f->in.fd = -1;
    st = stream ? open_stream(f, path, strcmp(stream, "pnm") == 0, err)
                : open_animation(f, path, err);
    if (st != NST_OK) {
        nst_frame_reader_free(f);
        f = NULL;
    }
    *out = f;
    return st;
}

void nst_frame_reader_free(struct nst_frame_reader *f)
{
    if (!f)
        return;
    if (f->stream)
        fclose(f->stream);
    g_clear_object(&f->frames);
    nst_input_close(&f->in);
    free(f->label);
    free(f);
}

void nst_frame_reader_set_stop(struct nst_frame_reader *f, bool (*stop)(void *ctx),
                               void *ctx)
{
    f->stop = stop;
    f->stop_ctx = ctx;
}

size_t nst_frame_reader_bytes(const struct nst_frame_reader *f)
{
    int w = f->in.width, h = f->in.height;

    if (!f->frames)
        return 0;
    nst_picture_target_size(&f->size, &w, &h);
    return f->frame_bytes + (size_t)f->count * (size_t)w * (size_t)h * COLLECTED_BYTES;
}

int nst_frame_reader_count(const struct nst_frame_reader *f)
{
    return f->count;
}

/* Resize the frame *rgb of a Y4M stream to the requested size, or take it over: *rgb
 * becomes NULL. */
static enum nst_status make_picture(const struct nst_frame_reader *f, float **rgb,
                                    struct nst_picture **out, struct nst_err *err)
{
    struct nst_picture *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st = NST_OK;

    p->source_info = nst_xcalloc(1, sizeof *p->source_info);
    p->source_info->depth = f->y4m.bits > 8 ? 16 : 8;
    p->width = p->read_width = f->y4m.width;
    p->height = p->read_height = f->y4m.height;
    nst_picture_target_size(&f->size, &p->width, &p->height);
    if (vips_black(&p->source_info->meta, 1, 1, NULL))
        st = nst_err_set(err, NST_ERR_MEM, "%s: out of memory", f->label);
    if (st == NST_OK && p->height == f->y4m.height && p->width == f->y4m.width) {
        p->rgb = *rgb;
        *rgb = NULL;
    } else if (st == NST_OK) {
        st = nst_pixels_resize(&p->rgb,
                               (struct nst_image){*rgb, f->y4m.height, f->y4m.width},
                               p->height, p->width, err);
    }
    if (st != NST_OK) {
        nst_picture_free(p);
        p = NULL;
    }
    *out = p;
    return st;
}

static enum nst_status next_y4m(struct nst_frame_reader *f, struct nst_picture **out,
                                struct nst_err *err)
{
    bool end = false;
    float *rgb;
    enum nst_status st =
        nst_floats_new(&rgb, 3, (size_t)f->y4m.height, (size_t)f->y4m.width, err);

    if (st == NST_OK)
        st = nst_y4m_read_frame(&f->y4m, f->stream, f->label, rgb, &end, err);
    if (st == NST_OK && !end)
        st = make_picture(f, &rgb, out, err);
    free(rgb);
    return st;
}

static enum nst_status next_pnm(struct nst_frame_reader *f, struct nst_picture **out,
                                struct nst_err *err)
{
    VipsImage *image;
    bool pam;
    enum nst_status st = nst_pnm_read(&image, &pam, f->stream, f->label, &f->size, err);

    if (st == NST_OK && image)
        st = nst_picture_from_image(out, image, &f->in, &f->size, err);
    if (st == NST_OK && image)
        (*out)->source_info->pam = pam;
    g_clear_object(&image);
    return st;
}

enum nst_status nst_frame_reader_next(struct nst_frame_reader *f,
                                      struct nst_picture **out, struct nst_err *err)
{
    VipsImage *frame = NULL;
    enum nst_status st;

    *out = NULL;
    if (f->pnm)
        return next_pnm(f, out, err);
    if (f->stream)
        return next_y4m(f, out, err);
    if (f->next == f->count)
        return NST_OK;
    if (f->count == 1)
        st = nst_picture_decode(&frame, &f->in, &f->size, err);
    else
        st = nst_picture_decode_frame(&frame, f->frames, f->next, &f->in, err);
    f->next++;
    if (st == NST_OK)
        st = nst_picture_from_image(out, frame, &f->in, &f->size, err);
    g_clear_object(&frame);
    return st;
}

struct nst_frame_writer {
    struct nst_output *output;
    const struct nst_frame_reader *reader;
    int width, height, frames;
    int bands;
    unsigned char *samples; /* all frames of an animation; the latest of a stream */
    VipsImage *meta;        /* of the first frame */
};

void nst_frame_writer_new(struct nst_frame_writer **out, struct nst_output *output,
                          const struct nst_frame_reader *reader)
{
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->output = output;
    (*out)->reader = reader;
}

void nst_frame_writer_free(struct nst_frame_writer *f)
{
    if (!f)
        return;
    g_clear_object(&f->meta);
    free(f->samples);
    free(f);
}

static enum nst_status add_pnm(struct nst_frame_writer *f,
                               const struct nst_picture *source, const float *rgb,
                               struct nst_err *err)
{
    const char *suffix = source->source_info->pam ? ".pam" : ".ppm";
    void *data;
    size_t size;
    enum nst_status st =
        nst_output_encode_picture(f->output, suffix, source, rgb, &data, &size, err);

    if (st == NST_OK)
        st = nst_atomic_file_write(f->output->file, data, size, err);
    g_free(data);
    return st;
}

static enum nst_status add_y4m(struct nst_frame_writer *f, const float *rgb,
                               struct nst_err *err)
{
    const struct nst_y4m *y = &f->reader->y4m;
    size_t size = nst_y4m_frame_bytes(y, f->width, f->height);
    char header[NST_Y4M_LINE + 64];
    enum nst_status st = NST_OK;

    if (f->frames == 0) {
        f->samples = nst_xcalloc(size, 1);
        nst_y4m_format_header(y, f->width, f->height, header, sizeof header);
        st = nst_atomic_file_write(f->output->file, header, strlen(header), err);
    }
    nst_y4m_write_frame(y, (struct nst_image){rgb, f->height, f->width}, f->samples);
    if (st == NST_OK)
        st = nst_atomic_file_write(f->output->file, "FRAME\n", 6, err);
    if (st == NST_OK)
        st = nst_atomic_file_write(f->output->file, f->samples, size, err);
    return st;
}

static size_t frame_bytes(const struct nst_frame_writer *f)
{
    return (size_t)f->width * (size_t)f->height * (size_t)f->bands;
}

static enum nst_status add_to_roll(struct nst_frame_writer *f,
                                   const struct nst_picture *source, const float *rgb,
                                   struct nst_err *err)
{
    unsigned char *larger;

    if (f->frames == 0) {
        f->bands = source->source_info->alpha && f->output->format->alpha ? 4 : 3;
        f->meta = g_object_ref(source->source_info->meta);
    }
    larger = realloc(f->samples, ((size_t)f->frames + 1) * frame_bytes(f));
    if (!larger)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %d frames", f->frames + 1);
    f->samples = larger;
    return nst_output_quantise(f->output, source, rgb,
                               f->samples + (size_t)f->frames * frame_bytes(f), err);
}

enum nst_status nst_frame_writer_add(struct nst_frame_writer *f,
                                     const struct nst_picture *source, const float *rgb,
                                     struct nst_err *err)
{
    enum nst_status st;

    f->width = source->width;
    f->height = source->height;
    st = f->reader->pnm      ? add_pnm(f, source, rgb, err)
         : f->reader->stream ? add_y4m(f, rgb, err)
                             : add_to_roll(f, source, rgb, err);
    f->frames += st == NST_OK;
    return st;
}

/* Copy the delays of the frames and the number of loops from the source. */
static void copy_timing(VipsImage *to, VipsImage *from, int frames)
{
    int *delay, n, loop;

    if (vips_image_get_typeof(from, "delay") &&
        !vips_image_get_array_int(from, "delay", &delay, &n))
        vips_image_set_array_int(to, "delay", delay, n < frames ? n : frames);
    if (vips_image_get_typeof(from, "loop") && !vips_image_get_int(from, "loop", &loop))
        vips_image_set_int(to, "loop", loop);
}

static enum nst_status write_roll(struct nst_frame_writer *f, const char *comment,
                                  struct nst_err *err)
{
    struct nst_source_info source_info = {.meta = f->meta};
    VipsImage *image = vips_image_new_from_memory(
        f->samples, (size_t)f->frames * frame_bytes(f), f->width, f->height * f->frames,
        f->bands, VIPS_FORMAT_UCHAR);
    enum nst_status st = NST_OK;
    void *data = NULL;
    size_t size;

    if (!image)
        return nst_output_encode_error(f->output, err);
    image->Type = VIPS_INTERPRETATION_sRGB;
    nst_output_add_metadata(f->output, image, &source_info, false, comment);
    vips_image_set_int(image, VIPS_META_PAGE_HEIGHT, f->height);
    copy_timing(image, f->reader->frames, f->frames);
    if (nst_output_encode(f->output, image, false, &data, &size))
        st = nst_output_encode_error(f->output, err);
    else
        st = nst_atomic_file_write(f->output->file, data, size, err);
    g_free(data);
    g_object_unref(image);
    return st;
}

enum nst_status nst_frame_writer_finish(struct nst_frame_writer *f, const char *comment,
                                        struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (!f->reader->stream)
        st = write_roll(f, comment, err);
    if (st == NST_OK)
        st = nst_atomic_file_commit(f->output->file, err);
    return st;
}
