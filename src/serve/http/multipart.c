/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/multipart.h"

#include <glib.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_BOUNDARY 70 /* RFC 2046, 5.1.1 */
#define MAX_HEAD 16384  /* bytes of a part's header */
#define MAX_PADDING 256 /* blanks between a boundary and the end of its line */

enum state {
    PREAMBLE, /* before the first boundary */
    BODY,     /* the contents of a part */
    BOUNDARY, /* after a boundary: blanks and a line end, or the two hyphens */
    HEAD,     /* the header of a part */
    EPILOGUE, /* after the last boundary: ignored */
    BROKEN
};

struct serve_multipart {
    serve_part_fn *on_part;
    void *ctx;
    enum state state, before; /* before: PREAMBLE or BODY, in the state BOUNDARY */
    char delimiter[MAX_BOUNDARY + 5]; /* CR LF - - boundary */
    size_t length;                    /* of the delimiter */
    /* The number of its characters that the latest bytes match, and how many of these
     * ended the line before the contents and thus do not belong to them. */
    size_t matched, borrowed;
    GString *text; /* BOUNDARY: what follows it; HEAD: the header */
    char *name;    /* of the form field; NULL: the part is ignored */
    const char *error;
};

/* The value of a parameter in a header such as: form-data; name="a"; filename=b. A new
 * string, or NULL. */
static char *find_parameter(const char *header, const char *name)
{
    const char *at = header + strcspn(header, ";");

    while (*at) {
        GString *value = g_string_new(NULL);
        size_t n;
        bool is_wanted;

        at += strspn(at, "; \t");
        n = strcspn(at, "=;");
        is_wanted = n == strlen(name) && g_ascii_strncasecmp(at, name, n) == 0;
        at += n + (at[n] == '=');
        at += strspn(at, " \t");
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) {
                at += *at == '\\' && at[1];
                g_string_append_c(value, *at);
            }
            at += strcspn(at, ";");
        } else {
            n = strcspn(at, ";");
            g_string_append_len(value, at, (gssize)n);
            g_strchomp(value->str);
            at += n;
        }
        if (is_wanted)
            return g_string_free(value, FALSE);
        g_string_free(value, TRUE);
    }
    return NULL;
}

/* True if the value of a header is the word, with or without parameters. */
static bool has_word(const char *header, const char *word)
{
    size_t n = strlen(word);

    return g_ascii_strncasecmp(header, word, n) == 0 &&
           (!header[n] || strchr("; \t", header[n]));
}

static bool is_valid_boundary(const char *boundary)
{
    size_t n = strlen(boundary);

    for (size_t i = 0; i < n; i++)
        if (boundary[i] < ' ' || boundary[i] > '~')
            return false;
    return n > 0 && n <= MAX_BOUNDARY && boundary[n - 1] != ' ';
}

struct serve_multipart *serve_multipart_new(const char *type, serve_part_fn *on_part,
                                            void *ctx)
{
    char *boundary = type && has_word(type, "multipart/form-data")
                         ? find_parameter(type, "boundary")
                         : NULL;
    struct serve_multipart *m = NULL;

    if (boundary && is_valid_boundary(boundary)) {
        m = nst_xcalloc(1, sizeof *m);
        m->on_part = on_part;
        m->ctx = ctx;
        m->length =
            (size_t)g_snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", boundary);
        m->matched = m->borrowed = 2; /* the first boundary needs no line end before */
        m->text = g_string_new(NULL);
    }
    g_free(boundary);
    return m;
}

void serve_multipart_free(struct serve_multipart *m)
{
    if (!m)
        return;
    g_string_free(m->text, TRUE);
    g_free(m->name);
    free(m);
}

static void set_broken(struct serve_multipart *m, const char *error)
{
    m->state = BROKEN;
    m->error = error;
}

static void emit(struct serve_multipart *m, const char *bytes, size_t size)
{
    if (m->state == BODY && m->name && size > 0)
        m->on_part(m->ctx, m->name, false, bytes, size);
}

/* The bytes that matched the delimiter are contents after all. */
static void emit_matched(struct serve_multipart *m)
{
    emit(m, m->delimiter + m->borrowed, m->matched - m->borrowed);
    m->matched = m->borrowed = 0;
}

/* Parse contents up to the end of a delimiter. Returns the number of bytes used. Only
 * the first character of the delimiter is a CR, so that a match can only begin anew at
 * a byte that ended another. */
static size_t parse_contents(struct serve_multipart *m, const char *bytes, size_t size)
{
    const char *cr;
    size_t n;

    if (m->matched == 0) {
        cr = memchr(bytes, '\r', size);
        n = cr ? (size_t)(cr - bytes) : size;
        emit(m, bytes, n);
        m->matched = cr != NULL;
        return n + m->matched;
    }
    if (*bytes != m->delimiter[m->matched]) {
        emit_matched(m);
        return 0;
    }
    if (++m->matched == m->length) {
        m->before = m->state;
        m->state = BOUNDARY;
        g_string_truncate(m->text, 0);
    }
    return 1;
}

/* A line that goes on after the boundary is contents: its last byte is looked at again.
 */
static void resume_contents(struct serve_multipart *m)
{
    bool cr = m->text->len > 0 && m->text->str[m->text->len - 1] == '\r';

    m->state = m->before;
    emit_matched(m);
    emit(m, m->text->str, m->text->len - cr);
    m->matched = cr;
}

/* Parse a byte of the rest of a boundary's line. Returns the number of bytes used. */
static size_t parse_boundary(struct serve_multipart *m, char byte)
{
    const char *text = m->text->str;
    size_t n = m->text->len;
    char last = n ? text[n - 1] : 0;

    if (byte == '-' && n == 1 && last == '-')
        m->state = EPILOGUE;
    else if (byte == '\n' && last == '\r') {
        m->state = HEAD;
        g_string_truncate(m->text, 0);
    } else if (n == MAX_PADDING)
        set_broken(m, "has too many blanks after a boundary");
    else if ((byte == '-' && n == 0) ||
             ((byte == ' ' || byte == '\t' || byte == '\r') && !strpbrk(text, "-\r")))
        g_string_append_c(m->text, byte);
    else {
        resume_contents(m);
        return 0;
    }
    return 1;
}

/* The field's name in a part's header, a new string; NULL if there is none. */
static char *find_name(const char *head)
{
    static const char disposition[] = "content-disposition:";
    char **lines = g_strsplit(head, "\r\n", -1);
    GString *value = NULL;
    char *name = NULL;

    for (char **line = lines; *line; line++)
        if (value && (**line == ' ' || **line == '\t')) /* the line above goes on */
            g_string_append(value, *line);
        else if (value)
            break;
        else if (g_ascii_strncasecmp(*line, disposition, strlen(disposition)) == 0)
            value = g_string_new(*line + strlen(disposition));
    if (value) {
        g_strchug(value->str);
        if (has_word(value->str, "form-data"))
            name = find_parameter(value->str, "name");
        g_string_free(value, TRUE);
    }
    g_strfreev(lines);
    return name;
}

/* True if the header ends with an empty line, or is one. */
static bool is_complete(const GString *head)
{
    size_t n = head->len;

    return n == 2 ? memcmp(head->str, "\r\n", 2) == 0
                  : n >= 4 && memcmp(head->str + n - 4, "\r\n\r\n", 4) == 0;
}

static void parse_head(struct serve_multipart *m, char byte)
{
    g_string_append_c(m->text, byte);
    if (is_complete(m->text)) {
        g_free(m->name);
        m->name = find_name(m->text->str);
        m->state = BODY;
        m->matched = m->borrowed = 2; /* the blank line may end at the next boundary */
        if (m->name)
            m->on_part(m->ctx, m->name, true, NULL, 0);
    } else if (!byte)
        set_broken(m, "has a NUL byte in the header of a part");
    else if (m->text->len >= MAX_HEAD)
        set_broken(m, "has a part with a header of more than 16 KiB");
}

void serve_multipart_add(struct serve_multipart *m, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;)
        switch (m->state) {
        case PREAMBLE:
        case BODY:
            at += parse_contents(m, bytes + at, size - at);
            break;
        case BOUNDARY:
            at += parse_boundary(m, bytes[at]);
            break;
        case HEAD:
            parse_head(m, bytes[at++]);
            break;
        default:
            return;
        }
}

const char *serve_multipart_error(const struct serve_multipart *m)
{
    if (m->state == BROKEN)
        return m->error;
    if (m->state == PREAMBLE)
        return "has no line that begins with two hyphens and the boundary";
    return m->state == EPILOGUE ? NULL : "is cut short: its last boundary is missing";
}
