/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/png_text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
static const unsigned char end[12] = {0,   0,   0,    0,    'I',  'E',
                                      'N', 'D', 0xae, 0x42, 0x60, 0x82};

/* CRC-32 of ISO 3309, as in PNG (RFC 2083, section 15). */
static uint32_t crc32(const unsigned char *data, size_t n)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void append_number(GByteArray *to, uint32_t v)
{
    const uint32_t big_endian = GUINT32_TO_BE(v);

    g_byte_array_append(to, (const guint8 *)&big_endian, sizeof big_endian);
}

/* The chunk, and the end of the file: g_byte_array_unref(). */
static GByteArray *make_end(const char *keyword, const char *text)
{
    const size_t key = strlen(keyword) + 1, n = strlen(text);
    GByteArray *bytes = g_byte_array_new();

    append_number(bytes, (uint32_t)(key + n));
    g_byte_array_append(bytes, (const guint8 *)"tEXt", 4);
    g_byte_array_append(bytes, (const guint8 *)keyword, (guint)key);
    g_byte_array_append(bytes, (const guint8 *)text, (guint)n);
    append_number(bytes, crc32(bytes->data + 4, 4 + key + n));
    g_byte_array_append(bytes, end, sizeof end);
    return bytes;
}

static bool has_bytes(int fd, const unsigned char *wanted, size_t n, off_t at)
{
    unsigned char found[sizeof end];

    return pread(fd, found, n, at) == (ssize_t)n && memcmp(found, wanted, n) == 0;
}

/* Write all at an offset; nothing follows it. */
static bool write_end(int fd, const unsigned char *data, size_t n, off_t at)
{
    ssize_t written = 0;

    for (size_t done = 0; done < n; done += (size_t)written) {
        written = pwrite(fd, data + done, n - done, at + (off_t)done);
        if (written < 0 && errno == EINTR)
            written = 0;
        else if (written <= 0)
            return false;
    }
    return ftruncate(fd, at + (off_t)n) == 0 && fsync(fd) == 0;
}

bool serve_png_add_text(const char *path, const char *keyword, const char *text)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error;
    bool added = true;
    struct stat st;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        has_bytes(fd, signature, sizeof signature, 0) &&
        has_bytes(fd, end, sizeof end, st.st_size - (off_t)sizeof end)) {
        const off_t at = st.st_size - (off_t)sizeof end;
        GByteArray *bytes = make_end(keyword, text);

        added = write_end(fd, bytes->data, bytes->len, at);
        error = errno;
        if (!added)
            write_end(fd, end, sizeof end, at); /* its block exists already */
        errno = error;
        g_byte_array_unref(bytes);
    }
    error = errno;
    close(fd);
    errno = error;
    return added;
}
