/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/labels.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "serve/log.h"
#include "serve/store.h"

#define FOLDER "labels"
#define MAX_BYTES (4 * SERVE_MAX_LABEL) /* of UTF-8 */

static bool turns_text(gunichar c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool is_line_or_paragraph(gunichar c)
{
    return c == 0x2028 || c == 0x2029;
}

char *serve_label_clean(const char *text)
{
    GString *label;
    char *copy = NULL;
    glong length = 0;
    bool space = false; /* before the next character */

    if (!g_utf8_validate(text, -1, NULL))
        return NULL;
    label = g_string_new(NULL);
    for (; *text && length < SERVE_MAX_LABEL; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        if (g_unichar_isspace(c) || is_line_or_paragraph(c))
            space = label->len > 0;
        else if (!g_unichar_iscntrl(c) && !turns_text(c)) {
            if (space && length + 1 == SERVE_MAX_LABEL)
                break;
            if (space)
                g_string_append_c(label, ' ');
            g_string_append_unichar(label, c);
            length += 1 + space;
            space = false;
        }
    }
    if (label->len > 0)
        copy = nst_xstrdup(label->str);
    g_string_free(label, TRUE);
    return copy;
}

bool serve_label_set(const char *style, const char *label)
{
    char *path = serve_store_path(FOLDER, style);
    struct nst_atomic_file *file;
    struct nst_err err;
    enum nst_status st = nst_atomic_file_open(&file, path, &err);
    int error;

    if (st == NST_OK) {
        st = nst_atomic_file_write(file, label, strlen(label), &err);
        if (st == NST_OK)
            st = nst_atomic_file_commit(file, &err);
        nst_atomic_file_free(file);
    }
    error = errno;
    if (st != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
    free(path);
    errno = error;
    return st == NST_OK;
}

char *serve_label_get(const char *style)
{
    char text[MAX_BYTES + 1];
    uint64_t size = 0;
    int fd = serve_store_open_file(FOLDER, style, &size);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return serve_label_clean(text);
}
